use std::{fs, process::Command};

use anyhow::{Context, Result};
use nsl_devnet::free_port;

use crate::{
    home::{Room, tool},
    process::{Process, Signal},
};

/// An S3 server that checks signatures, with one empty bucket.
pub struct S3 {
    process: Option<Process>,
    port: u16,
    room: Room,
}

impl S3 {
    pub const BUCKET: &'static str = "nsl-test";
    pub const ACCESS_KEY: &'static str = "AKIASANDBOX";
    pub const SECRET_KEY: &'static str = "sandbox-secret-key";
    pub const REGION: &'static str = "us-east-1";

    pub fn start() -> Result<Self> {
        let room = Room::new("s3")?;
        fs::create_dir_all(room.path().join("data").join(Self::BUCKET))?;
        let mut server = Self { process: None, port: free_port()?, room };
        server.start_again()?;
        Ok(server)
    }

    /// `http://127.0.0.1:PORT`; buckets are the first part of the path, not of the host name.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("the server was stopped by this test")
    }

    /// Ends it; what it holds stays.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it on the port and data it had.
    pub fn start_again(&mut self) -> Result<()> {
        let mut command = Command::new(tool("cargo/bin/s3s-fs")?);
        command.args(["--host", "127.0.0.1", "--port", &self.port.to_string()]);
        command.args(["--access-key", Self::ACCESS_KEY, "--secret-key", Self::SECRET_KEY]);
        command.arg(self.room.path().join("data")).current_dir(self.room.path());
        let process = Process::start("s3s-fs", &command, &self.room.path().join("log"), None)?;
        process
            .until_ready(30, || {
                let reply = crate::http("GET", &self.endpoint(), "/", &[], "");
                reply.is_ok_and(|reply| reply.status < 500)
            })
            .context("starting an S3 server")?;
        self.process = Some(process);
        Ok(())
    }

    /// Freezes it: connections stay open and nothing answers.
    pub fn pause(&self) -> Result<()> {
        self.process().signal(Signal::Pause)
    }

    pub fn resume(&self) -> Result<()> {
        self.process().signal(Signal::Resume)
    }
}
