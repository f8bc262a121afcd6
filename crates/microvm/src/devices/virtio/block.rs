//! A disk. virtio, section 5.2.
//!
//! ```text
//!   readable  type:32 reserved:32 sector:64 [data to write, or ranges of 16 bytes]
//!   writable                                [data read] status:8
//! ```
//!
//! What the guest was told is on the disk is there: a flush ends when the host's disk has all that
//! was written before (fdatasync(2)), and a guest that does not know of flushes gets one with each
//! write.

use std::{io, sync::Arc};

use super::{
    Broken, Buffers, Chain, Device, Queues, Shape,
    disk::{Disk, SECTOR},
    rate::{Count, Limit, Rate, Way},
};

/// The queue's size, and what Linux puts into one request: a header, a status, data in between.
const QUEUE: u16 = 256;
const SEGMENTS: u32 = QUEUE as u32 - 2;
const SEGMENT_BYTES: u32 = 64 << 10;

/// Features (section 5.2.3).
mod feature {
    pub const SIZE_MAX: u64 = 1 << 1;
    pub const SEG_MAX: u64 = 1 << 2;
    pub const READ_ONLY: u64 = 1 << 5;
    pub const BLOCK_SIZE: u64 = 1 << 6;
    pub const FLUSH: u64 = 1 << 9;
    pub const DISCARD: u64 = 1 << 13;
    pub const WRITE_ZEROES: u64 = 1 << 14;
}

/// Types of requests (section 5.2.6).
mod request {
    pub const READ: u32 = 0;
    pub const WRITE: u32 = 1;
    pub const FLUSH: u32 = 4;
    pub const NAME: u32 = 8;
    pub const DISCARD: u32 = 11;
    pub const WRITE_ZEROES: u32 = 13;
}

const HEADER: usize = 16;
const NAME: usize = 20;
/// A range to discard or to make zero: sector:64 count:32 flags:32.
const RANGE: usize = 16;
const RANGES: u32 = 32;
/// A request can change 128 MiB: what takes the host's disk seconds cannot be told to stop meanwhile.
const RANGE_SECTORS: u32 = (4 << 20) / SECTOR as u32;
/// In its flags: the room may be given back.
const UNMAP: u32 = 1;

/// How a request went.
#[derive(Debug)]
enum Failed {
    /// The guest asked for what cannot be, or the host could not do it.
    Io,
    /// There is no such request.
    Unsupported,
}

impl From<io::Error> for Failed {
    fn from(_: io::Error) -> Self {
        Self::Io
    }
}

/// A disk of a guest.
#[derive(Debug)]
pub struct Block {
    disk: Disk,
    name: String,
    features: u64,
    rate: Rate,
}

impl Block {
    /// A disk with the content of `disk`. The guest can ask for its `name`, of which it gets
    /// 20 bytes; Linux shows it as `serial` in `/sys/block`.
    pub fn new(disk: Disk, name: impl Into<String>) -> Self {
        Self { disk, name: name.into(), features: 0, rate: Rate::of(Limit::default()) }
    }

    /// The same disk, through which no more may go than this.
    #[must_use]
    pub fn limited(self, limit: Limit) -> Self {
        Self { rate: Rate::of(limit), ..self }
    }

    /// What has gone through.
    pub fn count(&self) -> Arc<Count> {
        self.rate.count()
    }

    fn answer(&self, chain: &mut Chain<'_>) -> Result<usize, Failed> {
        let mut header = [0; HEADER];
        if chain.readable.take(HEADER).copy_to(&mut header) < HEADER {
            return Err(Failed::Io);
        }
        let kind = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
        let sector = header[8..].try_into().map_or(u64::MAX, u64::from_le_bytes);
        let data = std::mem::take(&mut chain.readable);
        let room = std::mem::take(&mut chain.writable);
        match kind {
            request::READ => {
                let count = room.length();
                self.disk.read(offset(sector, count)?, room)?;
                Ok(count)
            }
            request::WRITE => {
                self.may_write()?;
                self.disk.write(offset(sector, data.length())?, data)?;
                self.settle()
            }
            request::FLUSH => {
                self.disk.flush()?;
                Ok(0)
            }
            request::NAME => {
                let mut name = [0; NAME];
                let bytes = &self.name.as_bytes()[..self.name.len().min(NAME)];
                name[..bytes.len()].copy_from_slice(bytes);
                Ok(room.copy_from(&name))
            }
            request::DISCARD | request::WRITE_ZEROES => {
                self.may_write()?;
                self.change_ranges(kind, data)?;
                self.settle()
            }
            _ => Err(Failed::Unsupported),
        }
    }

    fn may_write(&self) -> Result<(), Failed> {
        if self.disk.is_read_only() { Err(Failed::Io) } else { Ok(()) }
    }

    fn change_ranges(&self, kind: u32, mut ranges: Buffers<'_>) -> Result<(), Failed> {
        let count = ranges.length() / RANGE;
        if count == 0 || count > RANGES as usize || !ranges.length().is_multiple_of(RANGE) {
            return Err(Failed::Io);
        }
        for _ in 0..count {
            let mut range = [0; RANGE];
            ranges.take(RANGE).copy_to(&mut range);
            let range = u128::from_le_bytes(range);
            let (sector, sectors, flags) =
                (range as u64, (range >> 64) as u32, (range >> 96) as u32);
            if sectors > RANGE_SECTORS {
                return Err(Failed::Io);
            }
            let (offset, length) = (offset(sector, 0)?, u64::from(sectors) * SECTOR);
            match (kind, flags) {
                (_, 0 | UNMAP) if sectors == 0 => {}
                (request::DISCARD, 0) => self.disk.discard(offset, length)?,
                (request::WRITE_ZEROES, 0 | UNMAP) => {
                    self.disk.write_zeros(offset, length, flags == UNMAP)?;
                }
                _ => return Err(Failed::Unsupported),
            }
        }
        Ok(())
    }

    /// A driver without flushes counts on each write to be on the disk (section 5.2.6.2).
    fn settle(&self) -> Result<usize, Failed> {
        if self.features & feature::FLUSH == 0 {
            self.disk.flush()?;
        }
        Ok(0)
    }
}

/// Where `sector` begins, if `length` bytes are whole sectors.
fn offset(sector: u64, length: usize) -> Result<u64, Failed> {
    match sector.checked_mul(SECTOR) {
        Some(offset) if (length as u64).is_multiple_of(SECTOR) => Ok(offset),
        _ => Err(Failed::Io),
    }
}

impl Device for Block {
    fn name(&self) -> &'static str {
        "virtio-blk"
    }

    fn number(&self) -> u32 {
        2
    }

    fn features(&self) -> u64 {
        let always = feature::SIZE_MAX | feature::SEG_MAX | feature::BLOCK_SIZE | feature::FLUSH;
        match self.disk.is_read_only() {
            true => always | feature::READ_ONLY,
            false => always | feature::DISCARD | feature::WRITE_ZEROES,
        }
    }

    fn queues(&self) -> Vec<Shape> {
        let data = u64::from(SEGMENTS) * u64::from(SEGMENT_BYTES);
        vec![Shape { size: QUEUE, bytes: HEADER as u64 + data + 1 }]
    }

    /// The layout is that of section 5.2.4.
    fn config(&self) -> Vec<u8> {
        let mut config = (self.disk.bytes() / SECTOR).to_le_bytes().to_vec();
        let mut put =
            |words: &[u32]| words.iter().for_each(|word| config.extend(word.to_le_bytes()));
        put(&[SEGMENT_BYTES, SEGMENTS]);
        put(&[0]); // cylinders, heads, sectors: there are none
        put(&[SECTOR as u32]);
        put(&[0; 3]); // topology, write-back, number of queues: not offered
        put(&[RANGE_SECTORS, RANGES, 1]); // to discard, in any place
        put(&[RANGE_SECTORS, RANGES, 1]); // to make zero, and that may discard
        config
    }

    fn start(&mut self, features: u64) {
        self.features = features;
    }

    fn serve(&mut self, number: usize, queues: &mut Queues<'_>) -> Result<(), Broken> {
        while self.rate.allows()
            && let Some(mut chain) = queues.pop(number)?
        {
            let given = chain.readable.length().saturating_sub(HEADER);
            let status = chain.writable.take_last(1).ok_or(Broken::Malformed("status"))?;
            let (code, written) = match self.answer(&mut chain) {
                Ok(written) => (0, written),
                Err(Failed::Io) => (1, 0),
                Err(Failed::Unsupported) => (2, 0),
            };
            match written {
                0 => self.rate.spend(Way::Out, given),
                written => self.rate.spend(Way::In, written),
            }
            status.copy_from(&[code]);
            queues.push(number, chain.head, written as u32 + 1)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::NamedTempFile;

    use super::{
        super::{
            disk::{
                Access,
                tests::{full_disk, image},
            },
            driver::Driver,
        },
        *,
    };

    const OK: u8 = 0;
    const FAILED: u8 = 1;
    const UNSUPPORTED: u8 = 2;

    fn disk(image: &NamedTempFile, access: Access) -> Driver<Block> {
        Driver::of(Block::new(Disk::open(image.path(), access).unwrap(), "disk.img"))
    }

    fn header(kind: u32, sector: u64) -> Vec<u8> {
        [&kind.to_le_bytes()[..], &[0; 4], &sector.to_le_bytes()].concat()
    }

    impl Driver<Block> {
        /// Reads so many bytes; gives them and the status.
        fn read_disk(&mut self, sector: u64, length: u32) -> (Vec<u8>, u8) {
            let mut answer = self.ask(0, &[&header(0, sector)], &[length, 1]);
            if answer.len() == 1 {
                // It wrote nothing of the data; the status is behind it all the same.
                return (Vec::new(), self.last_byte());
            }
            let status = answer.pop().unwrap();
            (answer, status)
        }

        fn write_disk(&mut self, sector: u64, data: &[u8]) -> u8 {
            self.ask(0, &[&header(1, sector), data], &[1])[0]
        }

        fn change(&mut self, kind: u32, sector: u64, sectors: u32, flags: u32) -> u8 {
            let range =
                [&sector.to_le_bytes()[..], &sectors.to_le_bytes(), &flags.to_le_bytes()].concat();
            self.ask(0, &[&header(kind, 0), &range], &[1])[0]
        }
    }

    #[test]
    fn what_is_written_is_in_the_file_and_is_read_again() {
        let image = image(1 << 20);
        let mut disk = disk(&image, Access::Write);
        assert_eq!(disk.read_disk(7, 512), (vec![7; 512], OK));
        assert_eq!(disk.write_disk(7, &[0xab; 1024]), OK);
        assert_eq!(
            disk.read_disk(6, 2048).0,
            [[6; 512], [0xab; 512], [0xab; 512], [9; 512]].concat()
        );
        assert_eq!(fs::read(&image).unwrap()[7 * 512..9 * 512], [0xab; 1024]);
        assert_eq!(disk.ask(0, &[&header(4, 0)], &[1]), [OK]);
    }

    #[test]
    fn a_request_may_be_cut_in_any_way() {
        let image = image(8192);
        let mut disk = disk(&image, Access::Write);
        let header = header(0, 2);
        let answer = disk.ask(0, &[&header[..3], &header[3..]], &[100, 900, 25]);
        assert_eq!(answer, [[2; 512].as_slice(), &[3; 512], &[OK]].concat());
    }

    #[test]
    fn a_driver_learns_the_size_and_the_name() {
        let image = image(8192);
        let mut disk = disk(&image, Access::Write);
        assert_eq!((disk.read(0x100), disk.read(0x104)), (16, 0));
        assert_eq!((disk.read(0x10c), disk.read(0x114)), (254, 512));
        let mut name = b"disk.img".to_vec();
        name.resize(20, 0);
        name.push(OK);
        assert_eq!(disk.ask(0, &[&header(8, 0)], &[20, 1]), name);
    }

    #[test]
    fn what_lies_beyond_the_disk_is_refused() {
        let image = image(8192);
        let mut disk = disk(&image, Access::Write);
        for sector in [16, 15, u64::MAX, u64::MAX / 512, 1 << 55] {
            assert_eq!(disk.read_disk(sector, 1024).1, FAILED, "{sector}");
            assert_eq!(disk.write_disk(sector, &[1; 1024]), FAILED, "{sector}");
            assert_eq!(disk.change(11, sector, 2, 0), FAILED, "{sector}");
            assert_eq!(disk.change(13, sector, 2, 0), FAILED, "{sector}");
        }
        assert_eq!(disk.change(13, 0, u32::MAX, 0), FAILED);
        assert_eq!(fs::read(&image).unwrap().len(), 8192);
    }

    #[test]
    fn half_sectors_and_strange_requests_are_refused() {
        let image = image(8192);
        let mut disk = disk(&image, Access::Write);
        assert_eq!(disk.read_disk(0, 100).1, FAILED);
        assert_eq!(disk.write_disk(0, &[0; 100]), FAILED);
        assert_eq!(disk.ask(0, &[&header(99, 0)], &[1]), [UNSUPPORTED]);
        assert_eq!(disk.ask(0, &[b"short"], &[1]), [FAILED]);
        assert_eq!(disk.ask(0, &[&header(11, 0), b"no range"], &[1]), [FAILED]);
        assert_eq!(disk.change(11, 0, 1, 1), UNSUPPORTED);
        assert_eq!(disk.change(13, 0, 1, 2), UNSUPPORTED);
        assert_eq!(disk.device.broken(), None);
    }

    #[test]
    fn a_request_that_cannot_be_answered_stops_the_device() {
        let image = image(8192);
        let mut disk = disk(&image, Access::Write);
        disk.add(0, &[&header(0, 0)], &[]);
        disk.ring(0);
        assert_eq!(disk.device.broken(), Some(Broken::Malformed("status")));
    }

    #[test]
    fn ranges_become_zero() {
        let image = image(8192);
        let mut disk = disk(&image, Access::Write);
        assert_eq!(disk.change(13, 1, 2, 0), OK);
        assert_eq!(disk.change(13, 4, 1, 1), OK);
        assert_eq!(disk.change(11, 8, 8, 0), OK);
        let content = fs::read(&image).unwrap();
        for sector in [1, 2, 4] {
            assert_eq!(content[sector * 512..][..512], [0; 512], "{sector}");
        }
        assert_eq!((content[3 * 512], content[5 * 512], content.len()), (3, 5, 8192));
    }

    #[test]
    fn a_read_only_disk_stays_as_it_is() {
        let image = image(8192);
        let before = fs::read(&image).unwrap();
        let mut disk = disk(&image, Access::Read);
        disk.write(0x14, 0);
        assert_eq!(disk.read(0x10) as u64 & feature::READ_ONLY, feature::READ_ONLY);
        assert_eq!(disk.read_disk(1, 512), (vec![1; 512], OK));
        assert_eq!(disk.write_disk(1, &[9; 512]), FAILED);
        assert_eq!(disk.change(11, 1, 1, 0), FAILED);
        assert_eq!(disk.change(13, 1, 1, 0), FAILED);
        assert_eq!(disk.ask(0, &[&header(4, 0)], &[1]), [OK]);
        assert_eq!(fs::read(&image).unwrap(), before);
    }

    #[test]
    fn a_file_that_was_cut_fails_the_request_and_not_the_device() {
        let image = image(8192);
        let mut disk = disk(&image, Access::Write);
        image.as_file().set_len(4096).unwrap();
        assert_eq!(disk.read_disk(8, 512).1, FAILED);
        assert_eq!(disk.write_disk(8, &[1; 512]), FAILED);
        assert_eq!(disk.read_disk(7, 512), (vec![7; 512], OK));
        assert_eq!(disk.device.broken(), None);
    }

    #[test]
    fn a_full_host_fails_the_request_and_not_the_device() {
        let mut disk = Driver::of(Block::new(full_disk(8192), "full"));
        assert_eq!(disk.write_disk(0, &[1; 512]), FAILED);
        assert_eq!(disk.read_disk(0, 512), (vec![0; 512], OK));
    }

    /// A driver of a simple kernel, for which each write is the last.
    #[test]
    fn a_driver_without_flushes_is_served() {
        let image = image(8192);
        let disk = Disk::open(image.path(), Access::Write).unwrap();
        let mut disk = Driver::unready(Block::new(disk, ""));
        disk.set_up(1 << 32);
        assert_eq!(disk.write_disk(0, &[1; 512]), OK);
    }
}
