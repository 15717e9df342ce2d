//! The server that a command talks to: the one that runs, or else one in this process for as long as the command takes.

use nsl_kit::Environment;

use crate::{
    client::{Client, Reach},
    commands::{Done, config::Configure, devnet, sending},
    desk::{self, Desk, Nodes},
    exit::Failure,
    left::Left,
    lock::{self, Lock},
    process::Process,
};

pub(crate) struct Server {
    client: Client,
    here: Option<(Process, [Lock; 2])>,
}

impl Server {
    /// Without a server that is named or running, the data directory is worked on directly, if it has been used: what
    /// the command leaves undone is gone on with by the next process that works on it.
    async fn reach(reach: &Reach, environment: &Environment) -> Result<Self, Failure> {
        let dir = reach.data_dir(environment);
        let used = || -> anyhow::Result<bool> { Ok(dir.is_dir() && Left::read(&dir)?.is_some()) };
        if reach.is_named(environment) || !(used()? || devnet::find(&dir).await?.is_any()) {
            return Ok(Self { client: reach.client(environment)?, here: None });
        }
        let turn = lock::turn(&dir).await?;
        let Some(lock) = lock::alone_or_answered(&dir).await? else {
            return Ok(Self { client: reach.client(environment)?, here: None });
        };
        let configure = Configure { data_dir: Some(dir.clone()), ..Configure::default() };
        let loader = desk::loader(configure.loader(environment.clone()), [0, 0, 0], ("text", "error"));
        let Desk { process, .. } = Desk::open(loader, environment, &dir, Nodes::Find).await?;
        Ok(Self { client: reach.client(environment)?, here: Some((process, [lock, turn])) })
    }

    /// Does what a command asks for, on whichever server there is.
    pub(crate) async fn during(
        reach: &Reach,
        environment: &Environment,
        work: impl AsyncFnOnce(&Client) -> Result<Done, Failure>,
    ) -> Result<Done, Failure> {
        let server = Self::reach(reach, environment).await?;
        let (done, here) = (work(&server.client).await, server.here.is_some());
        let ended = server.end().await;
        let mut done = done?;
        ended?;
        if here && sending::is_under_way(&done) {
            done.shown.push_str("no server runs: the next command, or nsl dev, goes on with it\n");
        }
        Ok(done)
    }

    async fn end(self) -> Result<(), Failure> {
        if let Some((process, _locks)) = self.here {
            process.end().await?;
        }
        Ok(())
    }
}
