//! A store as container engines and virtual machines have it:
//!
//! ```text
//!   layers/N      the files of a layer, and some deeper: layers/usr/share/doc/N
//!   one/N, two/N  two roots made of it: second and third names of the same files (link(2))
//!   one/own       a file of the first root alone, which has another name outside of the tree
//!   disk.img      a virtual disk: gigabytes long, a few hundred kilobytes of them written
//!   latest        a symbolic link to a root
//!   cache         a symbolic link to a folder outside of the tree
//!   log           a symbolic link to a file outside of the tree
//! ```

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{FileExt, symlink},
    path::{Path, PathBuf},
};

/// The folder and the file beside the tree to which its symbolic links lead.
pub const BESIDE: [&str; 2] = ["cache", "log"];
/// The folder of the layer that is farthest down.
const DEEP: &str = "layers/usr/share/doc";

/// How large all of it is.
pub struct TreeSize {
    /// Files of the layer.
    pub files: u64,
    /// Length of the virtual disk.
    pub hole_bytes: u64,
    /// What is written of it.
    pub written_bytes: u64,
}

/// A store; dropping it removes it.
pub struct Tree {
    around: PathBuf,
    path: PathBuf,
}

impl Tree {
    /// Makes it in the directory for temporary files.
    pub fn make(size: &TreeSize) -> io::Result<Self> {
        let around = std::env::temp_dir().join(format!("lab19-{}", std::process::id()));
        let made = Self { path: around.join("store"), around };
        for folder in [DEEP, "one", "two"] {
            fs::create_dir_all(made.path.join(folder))?;
        }
        for number in 0..size.files {
            let name = number.to_string();
            let file = made.path.join("layers").join(&name);
            // From one block to some twenty, the last one not full.
            write(&file, number * 8191 % 81_920 + 1)?;
            for root in ["one", "two"] {
                fs::hard_link(&file, made.path.join(root).join(&name))?;
            }
        }
        for number in 0..2 {
            write(&made.path.join(DEEP).join(number.to_string()), 50_000)?;
        }
        let outside = made.around.join("outside");
        write(&outside, 30_000)?;
        fs::hard_link(&outside, made.path.join("one/own"))?;
        let disk = File::create(made.path.join("disk.img"))?;
        disk.set_len(size.hole_bytes)?;
        // In two places, as a file system would: at the beginning and behind the middle.
        let half = vec![0x5a; (size.written_bytes / 2) as usize];
        disk.write_all_at(&half, 0)?;
        disk.write_all_at(&half, size.hole_bytes / 2)?;
        symlink("one", made.path.join("latest"))?;
        let [folder, file] = BESIDE.map(|name| made.around.join(name));
        fs::create_dir(&folder)?;
        write(&folder.join("index"), 70_000)?;
        write(&file, 110_000)?;
        for name in BESIDE {
            symlink(Path::new("..").join(name), made.path.join(name))?;
        }
        Ok(made)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn write(path: &Path, bytes: u64) -> io::Result<()> {
    File::create(path)?.write_all(&vec![b'x'; bytes as usize])
}

impl Drop for Tree {
    fn drop(&mut self) {
        // It was made here; what cannot be removed is the next boot's, as all temporary files are.
        let _ = fs::remove_dir_all(&self.around);
    }
}
