//! Writes what the fuzzer begins with: for each target a folder of inputs that are right.
//!
//! ```console
//! $ cargo run --release --bin seeds -- corpus
//! ```

#[path = "registry/seeds.rs"]
mod registry;

use std::{
    env, fs,
    io::{self, Write as _},
    path::Path,
};

use flate2::{Compression, write::GzEncoder};
use guest::Builtin;
// The code here calls into the fuzzer at every branch, as that of the targets does.
use libfuzzer_sys as _;

fn main() -> io::Result<()> {
    let corpus = env::args_os().nth(1).unwrap_or_else(|| "corpus".into());
    let write = |target: &str, name: &str, bytes: &[u8]| {
        let folder = Path::new(&corpus).join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)
    };
    for device in 0..8 {
        let name = format!("device-{device}");
        write("virtqueue", &name, &[&[device], requests(0, READ).as_slice()].concat())?;
    }
    // Of a disk: read, write, flush, its name, discard, write zeros.
    for (kind, data) in [(1, WRITE), (4, READ), (8, READ), (11, RANGE), (13, RANGE)] {
        let name = format!("disk-{kind}");
        write("virtqueue", &name, &[WITH_FLUSHES, &requests(kind, data)].concat())?;
    }
    for device in 0..8 {
        let name = format!("other-processor-{device}");
        let acts = requests(0, READ);
        write("virtqueue", &name, &[&[0x80 | device], acts.as_slice()].concat())?;
    }
    write("virtqueue", "disk-feeds-itself", FEEDS_ITSELF)?;
    let names = [("file", 1), ("directory", 1), ("link", 1), ("pipe", 1)];
    for (number, (name, node)) in names.into_iter().enumerate() {
        write("share", name, &share_reads(name, node, number as u8))?;
    }
    let vmlinux = vmlinux();
    write("kernel", "vmlinux", &vmlinux)?;
    write("kernel", "bzimage", &bzimage(&vmlinux))?;
    write("kernel", "bzimage-gzip", &bzimage(&gzip(&vmlinux)?))?;
    for (name, packed) in PACKED {
        write("kernel", name, packed)?;
        let length = 5u32.to_le_bytes();
        write("kernel", &format!("bzimage-{name}"), &bzimage(&[packed, &length].concat()))?;
    }
    write("elf", "hello", Builtin::Hello.bare_elf())?;
    write("elf", "dynamic", &dynamic())?;
    write("elf", "script", b"#!/usr/bin/env -S sh -e\n")?;
    write("module", "module", b"\0license=GPL\0depends=a,b-c\0softdep=pre: a b-c post: d\0")?;
    write("module", "signed", &signed())?;
    write("snapshot", "state", include_bytes!("../seeds/snapshot.json"))?;
    write("packages", "debian", PACKAGE)?;
    for (name, kind, leads_to) in [
        ("file", b'0', ""),
        ("over-link", b'2', "../kept"),
        ("hard-link", b'1', "link/file"),
        ("directory", b'5', ""),
        ("long-name", b'L', ""),
    ] {
        let entries = [tar_entry("link/x", kind, leads_to), tar_entry("link/file", b'0', "")];
        write("tar", name, &entries.concat())?;
        write("layer", name, &entries.concat())?;
    }
    let archive =
        [entry("d", 0o040_755, b""), entry("d/f", 0o100_644, b"text"), entry(END, 0, b"")];
    write("nest-output", "archive", &[&[0], archive.concat().as_slice()].concat())?;
    let through = [entry("link/f", 0o100_644, b"text"), entry("file-link", 0o100_644, b"text")];
    for (name, entry) in ["through-link", "over-link"].into_iter().zip(through) {
        write("nest-output", name, &[&[0], entry.as_slice()].concat())?;
    }
    write("nest-output", "reports", b"\x83ready\nfailed 3 2\nexit 0\nsignal 9\n")?;
    write("nest-output", "console", b"\xff[1.0] Kernel panic - not syncing\r\n\x1b[1mtrace\r\n")?;
    write("http", "page", b"\xffGET /?token=00 HTTP/1.1\r\nHost: localhost:8080\r\n\r\n")?;
    write("http", "key", HTTP_KEY)?;
    let long = ["\x7fGET / HTTP/1.1\r\nX: ", &"y".repeat(9000), "\r\n\r\n"].concat();
    write("http", "long", long.as_bytes())?;
    for name in [".wh.gone", "d/.wh..wh..opq"] {
        write("layer", &name.replace('/', "-"), &tar_entry(name, b'0', ""))?;
    }
    for (name, text) in DOCKERFILES {
        write("dockerfile", name, text)?;
    }
    let inside =
        [tar_entry("l", b'2', "/lib"), tar_entry("l/x", b'0', ""), tar_entry("../y", b'1', "l")];
    write("dockerfile", "archive", &[&b"\x03"[..], &inside.concat()].concat())?;
    write("image", "reference", b"\x00127.0.0.1:5000/class/hello:1")?;
    write("image", "manifest", &[b"\x01", MANIFEST].concat())?;
    write("image", "gzip", &[b"\x02", &*gzip(b"text")?].concat())?;
    for (name, session) in registry::sessions() {
        write("registry", name, &session)?;
    }
    write("ports", "some", &[0x55; 256])?;
    write("sessions", "some", &[0x55; 256])?;
    write("gdb", "some", &[0x55; 256])?;
    write("bare", "some", &[0x55; 256])?;
    write("cpio", "empty", b"")?;
    write("cpio", "some", &[&[1, 2, 3, 0x40, 1, 0, 1, 7, 1][..], &[0x81; 64]].concat())
}

/// A guest that begins, finds `name` in `node`, and does with it all that can be done (`share.rs`):
/// attributes, link, open, read, list, close, forget; and last writes.
fn share_reads(name: &str, node: u8, room: u8) -> Vec<u8> {
    let message = |operation: u8, node: u8, arguments: &[u8]| {
        [&[operation, node, room, 0x0f, arguments.len() as u8], arguments].concat()
    };
    let span = |handle: u64| [&handle.to_ne_bytes()[..], &[0; 8], &[0, 8, 0, 0], &[0; 20]].concat();
    [
        message(26, 0, &[[7, 0, 0, 0, 31, 0, 0, 0], [0xff; 8]].concat()),
        message(1, node, &[name.as_bytes(), &[0]].concat()),
        message(3, 2, &[0; 16]),
        message(5, 2, &[]),
        message(14, 2, &[0; 8]),
        message(15, 2, &span(1)),
        message(27, 2, &[0; 8]),
        message(28, 2, &span(1)),
        message(17, 1, &[]),
        message(18, 2, &[&1u64.to_ne_bytes()[..], &[0; 16]].concat()),
        message(16, 2, &[0; 40]),
        message(2, 2, &1u64.to_ne_bytes()),
        message(38, 0, &[]),
    ]
    .concat()
}

/// A disk, set up once more by a driver that knows of flushes.
const WITH_FLUSHES: &[u8] = &[4, 0, 0x04, 0, 2];

/// A disk (`fed.rs`) that is read into its own ring: a queue of four, a header and a ring with one
/// request, the chain of that request, the doorbell.
const FEEDS_ITSELF: &[u8] = &[
    6, 0, 2, 0, 0, // set up
    1, 0xf0, 0x03, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, // a header: read sector 0
    2, 0x00, 0xf0, 0x03, 16, 0, 1, 1, // descriptor 0: that header
    2, 0x01, 0xf0, 0x03, 0x00, 0x02, 3, 2, // descriptor 1: a sector, over it and the ring
    2, 0x02, 0x00, 0x34, 1, 0, 2, 0, // descriptor 2: the status
    3, 0, 1, // one request waits
];

/// Dockerfiles, of which the first byte says what is done with them, and a `.dockerignore`.
const DOCKERFILES: [(&str, &[u8]); 4] = [
    (
        "stages",
        b"\x00# escape=`\nARG V=1\nFROM a:${V:-2} AS b\nRUN [\"x\", \"y\"]\nFROM b\nCOPY --from=b /x \"/y\"\n",
    ),
    (
        "settings",
        b"\x00FROM scratch\nENV A=1 B=\"$A\"\nHEALTHCHECK --interval=1s CMD x\nONBUILD RUN a `\n# c\n b\n",
    ),
    ("ignore", b"\x01# x\n*\n!a/**/b[c-d]\n\0a/x/bc"),
    (
        "build",
        b"\x02ENV A=root\nWORKDIR /lib/$A\nCOPY --chown=1:2 --chmod=u+x $A/l* up* /lib/\nRUN x\nFROM scratch\nCOPY --from=0 / /\nCMD x\n",
    ),
];

/// An image's manifest, and an index beside it that a reader must not mistake for it.
const MANIFEST: &[u8] = br#"{"schemaVersion":2,"config":{"mediaType":"x","digest":"sha256:00","size":1},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:00","size":2}]}"#;

/// What apt-cache says of a kernel's package.
const PACKAGE: &[u8] =
    b"Package: linux-image-6.1.0-7-cloud-amd64\nSource: linux\nVersion: 6.1.20-1\n\
    Depends: kmod, linux-base (>= 4.3~), linux-modules-6.1.0-7 | x\nSize: 14000000\n";

/// What the page's script says when a key is pressed.
const HTTP_KEY: &[u8] = b"\x07POST /key?token=00&key=110 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\
    Origin: http://127.0.0.1:8080\r\nSec-Fetch-Site: same-origin\r\n\r\n";

/// How an archive ends.
const END: &str = "TRAILER!!!";

/// An entry of an archive as the first process of a nest writes it: cpio of the kind "newc".
fn entry(name: &str, mode: u32, content: &[u8]) -> Vec<u8> {
    let (length, name_length) = (content.len() as u32, name.len() as u32 + 1);
    let numbers = [0, mode, 0, 0, 1, 0, length, 0, 0, 0, 0, name_length, 0];
    let numbers: String = numbers.iter().map(|number| format!("{number:08x}")).collect();
    let mut entry = format!("070701{numbers}{name}\0").into_bytes();
    entry.resize(entry.len().next_multiple_of(4), 0);
    entry.extend(content);
    entry.resize(entry.len().next_multiple_of(4), 0);
    entry
}

/// Descriptor 1, between a header and a status: room, data, a range of a disk. See `act.rs`.
const READ: [u8; 8] = [2, 0x01, 0x00, 0x31, 0x00, 2, 3, 2];
const WRITE: [u8; 8] = [2, 0x01, 0x00, 0x31, 0x00, 2, 1, 2];
const RANGE: [u8; 8] = [2, 0x01, 0x00, 0x31, 16, 0, 1, 2];

/// A request in each of a device's first two queues, twice in the first, and a look at a register.
fn requests(kind: u8, data: [u8; 8]) -> Vec<u8> {
    const HEADER: [u8; 8] = [2, 0x00, 0x00, 0x30, 16, 0, 1, 1];
    const STATUS: [u8; 8] = [2, 0x02, 0x00, 0x34, 1, 0, 2, 0];
    const OTHER: [u8; 8] = [2, 0x10, 0x00, 0x32, 64, 0, 2, 0];
    let at_0x3000 = [1, 0x00, 0x30, 16, kind, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
    let at_0x3100 = [1, 0x00, 0x31, 16, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
    let chains = [HEADER, data, STATUS, OTHER].concat();
    let offers = [3, 0x00, 1, 3, 0x10, 1, 3, 0x00, 1, 7, 9, 7, 0, 6, 0x40, 4];
    [&at_0x3000[..], &at_0x3100, &chains, &offers].concat()
}

/// "hello", packed.
const PACKED: [(&str, &[u8]); 3] = [
    ("lz4", b"\x02\x21\x4c\x18\x06\x00\x00\x00\x50hello"),
    ("zstd", b"\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello"),
    (
        "xz",
        b"\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4F\x02\x00!\x01\x16\x00\x00\x00t/\xe5\xa3\x01\x00\x04hello\
          \x00\x00\x00\x00\xb17\xb9\xdb\xe5\xda\x1e\x9b\x00\x01\x1d\x05\xb8\x2d\x80\xaf\x1f\xb6\xf3\
          }\x01\x00\x00\x00\x00\x04YZ",
    ),
];

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn set(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    file.resize(file.len().max(at + bytes.len()), 0);
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

fn set_longs(file: &mut Vec<u8>, at: usize, longs: &[u64]) {
    for (index, long) in longs.iter().enumerate() {
        set(file, at + 8 * index, &long.to_le_bytes());
    }
}

/// A vmlinux of two segments, the second a note with the PVH entry.
/// An entry of a tar archive (tar(5)), without its checksum, with a name for its content.
fn tar_entry(name: &str, kind: u8, leads_to: &str) -> Vec<u8> {
    const CONTENT: &[u8] = b"../kept/file\0";
    let mut entry = vec![0; 1024];
    for (at, bytes) in [
        (0, name.as_bytes()),
        (100, b"0000644\0"),
        (124, format!("{:011o}", CONTENT.len()).as_bytes()),
        (136, b"00000000000"),
        (156, &[kind]),
        (157, leads_to.as_bytes()),
        (257, b"ustar  \0"),
        (512, CONTENT),
    ] {
        entry[at..at + bytes.len()].copy_from_slice(bytes);
    }
    entry
}

fn vmlinux() -> Vec<u8> {
    let mut file = elf(2, 0x100_0040, 2);
    set(&mut file, 64, &[1]);
    set_longs(&mut file, 72, &[0x200, 0xffff_ffff_8100_0000, 0x100_0000, 0x100, 0x300, 0x1000]);
    set(&mut file, 120, &[4]);
    set_longs(&mut file, 128, &[0x100, 0, 0, 24, 24, 4]);
    set(&mut file, 0x100, b"\x04\0\0\0\x08\0\0\0\x12\0\0\0Xen\0");
    set_longs(&mut file, 0x110, &[0x100_0080]);
    set(&mut file, 0x220, b"Linux version 6.1.0-7-lab (x@y) #1\n");
    set(&mut file, 0x2ff, &[0x90]);
    file
}

/// A bzImage with that payload.
fn bzimage(payload: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    set(&mut file, 0x1f1, &[1]);
    set(&mut file, 0x1fe, b"\x55\xaaxxHdrS\x0f\x02");
    set(&mut file, 0x20e, &[0x80, 1]);
    set(&mut file, 0x211, &[1]);
    set(&mut file, 0x236, &[0x7f, 0]);
    set(&mut file, 0x248, &[0x40, 0, 0, 0]);
    set(&mut file, 0x24c, &(payload.len() as u32).to_le_bytes());
    set(&mut file, 0x380, b"6.1.0-7-lab (x@y) #1 SMP\0");
    set(&mut file, 0x440, payload);
    file
}

/// A program with an interpreter, a library and folders to look for it in.
fn dynamic() -> Vec<u8> {
    let mut file = elf(3, 0x1000, 3);
    set(&mut file, 64, &[3]);
    set_longs(&mut file, 72, &[0x100, 0x1100, 0, 28, 28, 1]);
    set(&mut file, 120, &[2]);
    set_longs(&mut file, 128, &[0x140, 0x1140, 0, 96, 96, 8]);
    set(&mut file, 176, &[1]);
    set_longs(&mut file, 184, &[0, 0x1000, 0, 0x200, 0x200, 0x1000]);
    set(&mut file, 0x100, b"/lib64/ld-linux-x86-64.so.2\0");
    set_longs(&mut file, 0x140, &[5, 0x11c0, 10, 0x40, 1, 1, 29, 11, 15, 25, 0, 0]);
    set(&mut file, 0x1c0, b"\0libc.so.6\0$ORIGIN/../lib\0/usr/lib:/lib\0");
    set(&mut file, 0x1ff, &[0]);
    file
}

/// The header of an ELF file for x86-64 of that type.
fn elf(kind: u8, entry: u64, segments: u8) -> Vec<u8> {
    let mut file = Vec::new();
    set(&mut file, 0, b"\x7fELF\x02\x01\x01");
    set(&mut file, 16, &[kind, 0, 62, 0, 1]);
    set_longs(&mut file, 24, &[entry, 64]);
    set(&mut file, 52, &[64, 0, 56, 0, segments, 0]);
    file
}

/// What follows the magic of a signed module.
fn signed() -> Vec<u8> {
    let signature = [1, 2, 3, 4];
    let about = [0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 4];
    [&b"\0depends=\0"[..], &signature, &about, b"~Module signature appended~\n"].concat()
}
