//! Processes that share memory, as all children do that fork(2) makes.

use std::{
    hint::black_box,
    io::{self, PipeWriter, Read},
};

use nix::{
    sys::wait::waitpid,
    unistd::{ForkResult, Pid, fork},
};

/// Three children and the end of a pipe for whose closing they wait.
pub struct Family {
    children: Vec<Pid>,
    line: PipeWriter,
}

impl Family {
    /// They share `bytes` with this process, page by page, and read none of them.
    pub fn of_three(bytes: usize) -> io::Result<Self> {
        // Written, or all of it would be the kernel's one page of zeros.
        let pages = black_box(vec![0xa5_u8; bytes]);
        let (mut end, line) = io::pipe()?;
        let mut children = Vec::new();
        for _ in 0..3 {
            // SAFETY: this process has a single thread, so no lock is held that the child, which
            // goes on with a copy of its memory, would wait for.
            match unsafe { fork() }? {
                ForkResult::Parent { child } => children.push(child),
                ForkResult::Child => {
                    drop(line);
                    let _ = end.read(&mut [0]);
                    black_box(&pages);
                    std::process::exit(0);
                }
            }
        }
        // This process's own pages go; the three hold theirs in common.
        drop(pages);
        Ok(Self { children, line })
    }

    /// Their numbers.
    pub fn pids(&self) -> Vec<u32> {
        self.children.iter().map(|pid| pid.as_raw().cast_unsigned()).collect()
    }

    /// Lets them end.
    pub fn end(self) -> io::Result<()> {
        drop(self.line);
        for child in self.children {
            waitpid(child, None)?;
        }
        Ok(())
    }
}
