//! placeholder
use axum::body::Bytes;
use std::{
    fs::File,
    io,
    path::Path,
    time::{Duration, SystemTime},
};
pub const STDOUT: u32 = 1;
pub const STDERR: u32 = 2;
pub const STDIN: u32 = 4;
#[derive(Debug)]
pub struct LogOptions {
    pub max_size: u64,
    pub max_files: u32,
}
#[derive(Debug)]
pub struct SupervisorOptions {
    pub stdin: bool,
    pub stdin_once: bool,
    pub tty: bool,
    pub log: Option<LogOptions>,
}
#[derive(Debug)]
pub enum Message {
    Stdout(Bytes),
    Stderr(Bytes),
    Started(u32),
    Failed(Bytes),
    Exited(u32),
}
pub struct Connection;
pub struct Receiver;
pub struct Sender;
impl Connection {
    pub async fn open(_: &Path) -> io::Result<Self> {
        Ok(Self)
    }
    pub async fn subscribe(&mut self, _: u32) -> io::Result<()> {
        Ok(())
    }
    pub async fn go(&mut self, _: u16, _: u16) -> io::Result<()> {
        Ok(())
    }
    pub async fn resize(&mut self, _: u16, _: u16) -> io::Result<()> {
        Ok(())
    }
    pub async fn next(&mut self) -> io::Result<Option<Message>> {
        Ok(None)
    }
    pub fn split(self) -> (Receiver, Sender) {
        (Receiver, Sender)
    }
}
impl Receiver {
    pub async fn next(&mut self) -> io::Result<Option<Message>> {
        Ok(None)
    }
}
impl Sender {
    pub async fn input(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
    pub async fn close_input(&mut self) -> io::Result<()> {
        Ok(())
    }
}
pub struct ExitRecord {
    pub status: u32,
    pub time: SystemTime,
}
pub fn read_exit(_: &Path) -> Option<ExitRecord> {
    None
}
pub fn start(_: &Path, _: &SupervisorOptions, _: &File, _: &[&str]) -> io::Result<()> {
    Ok(())
}
pub enum LogStream {
    Stdout,
    Stderr,
}
pub struct LogLine {
    pub stream: LogStream,
    pub time: Duration,
    pub bytes: Vec<u8>,
}
pub struct LogReader;
impl LogReader {
    pub fn open(_: &Path, _: Option<usize>, _: Option<Duration>) -> io::Result<Self> {
        Ok(Self)
    }
    pub fn next_line(&mut self) -> io::Result<Option<LogLine>> {
        Ok(None)
    }
}
