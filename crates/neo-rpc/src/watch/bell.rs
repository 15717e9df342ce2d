//! Tells when there is a new block.

use std::{pin::Pin, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use serde::Deserialize;
use tokio::time::{Instant, Sleep, sleep};

use super::{
    Options,
    socket::{Socket, Told},
};
use crate::{
    client::Client,
    endpoint::Endpoint,
    error::{Error, Result},
};

/// The longest pause before the websocket is tried again.
const MOST_PAUSE: Duration = Duration::from_secs(15);
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Rings for each new height: at once over a websocket, or by asking every now and then while there is none.
///
/// All that it waits for is kept in it, so that [`Bell::ring`] can be dropped and called again at any time.
pub(crate) struct Bell {
    client: Client,
    endpoint: Option<Endpoint>,
    link: Link,
    pause: Duration,
    asking: Option<BoxFuture<'static, Result<u32>>>,
    timer: Pin<Box<Sleep>>,
    poll: Duration,
    quiet: Duration,
    /// The newest height that was told.
    height: Option<u32>,
    /// How often in turn asking knew more than a websocket that seems to live.
    behind: u32,
    failing_since: Option<(Instant, Error)>,
}

enum Link {
    Pause(Pin<Box<Sleep>>),
    Opening(BoxFuture<'static, Result<Socket>>),
    Open(Box<Socket>),
    None,
}

enum News {
    Asked(Result<u32>),
    Time,
    Resume,
    Opened(Result<Box<Socket>>),
    Told(Result<Told>),
}

impl Bell {
    pub(crate) fn new(client: Client, options: &Options) -> Self {
        let endpoint = options.websocket.endpoint(client.endpoint());
        let mut bell = Self {
            endpoint,
            link: Link::None,
            pause: FIRST_PAUSE,
            asking: None,
            timer: Box::pin(sleep(options.poll)),
            poll: options.poll.max(Duration::from_millis(10)),
            quiet: options.quiet.max(Duration::from_millis(10)),
            height: None,
            behind: 0,
            failing_since: None,
            client,
        };
        bell.open();
        bell.ask();
        bell
    }

    /// How long the node has not answered when asked, and why.
    pub(crate) fn failing(&self) -> Option<(Duration, &Error)> {
        self.failing_since.as_ref().map(|(since, error)| (since.elapsed(), error))
    }

    /// The next height that differs from the last one, or the news that the node does not answer.
    pub(crate) async fn ring(&mut self) -> Ring {
        loop {
            match self.news().await {
                News::Time => self.ask(),
                News::Resume => self.open(),
                News::Asked(answer) => {
                    self.asking = None;
                    self.wind();
                    match answer {
                        Ok(count) => {
                            self.failing_since = None;
                            let height = count.saturating_sub(1);
                            self.suspect(height);
                            if self.told(height) {
                                return Ring::Height(height);
                            }
                        }
                        Err(error) => {
                            tracing::debug!(%error, "asking for the height");
                            let since = self.failing_since.as_ref().map_or_else(Instant::now, |(since, _)| *since);
                            self.failing_since = Some((since, error));
                            return Ring::Failing;
                        }
                    }
                }
                News::Opened(Ok(socket)) => {
                    self.link = Link::Open(socket);
                    self.behind = 0;
                    // What came before the subscription stood is not told.
                    self.ask();
                }
                News::Opened(Err(error)) | News::Told(Err(error)) => self.lost(&error),
                News::Told(Ok(told)) => {
                    self.pause = FIRST_PAUSE;
                    self.behind = 0;
                    match height(&told) {
                        Some(height) => {
                            self.wind();
                            if self.told(height) {
                                return Ring::Height(height);
                            }
                        }
                        None => self.ask(),
                    }
                }
            }
        }
    }

    async fn news(&mut self) -> News {
        let idle = self.asking.is_none();
        let asking = async {
            match &mut self.asking {
                Some(answer) => answer.await,
                None => std::future::pending().await,
            }
        };
        let link = async {
            match &mut self.link {
                Link::Pause(pause) => {
                    pause.await;
                    News::Resume
                }
                Link::Opening(opening) => News::Opened(opening.await.map(Box::new)),
                Link::Open(socket) => News::Told(socket.next().await),
                Link::None => std::future::pending().await,
            }
        };
        tokio::select! {
            news = link => news,
            answer = asking => News::Asked(answer),
            () = self.timer.as_mut(), if idle => News::Time,
        }
    }

    fn told(&mut self, height: u32) -> bool {
        self.height.replace(height) != Some(height)
    }

    fn ask(&mut self) {
        if self.asking.is_none() {
            let client = self.client.clone();
            self.asking = Some(async move { client.block_count().await }.boxed());
        }
    }

    fn open(&mut self) {
        self.link = match self.endpoint.clone() {
            Some(endpoint) => {
                let client = self.client.clone();
                Link::Opening(Socket::open(endpoint, client, "header_of_added_block", None).boxed())
            }
            None => Link::None,
        };
    }

    /// Sets the time until it asks by itself.
    fn wind(&mut self) {
        let after = if matches!(self.link, Link::Open(_)) { self.quiet } else { self.poll };
        self.timer.as_mut().reset(Instant::now() + after);
    }

    /// A connection that died silently looks like one on which nothing is told. Asking twice in turn and knowing more
    /// both times gives it away; once may be a matter of who was faster.
    fn suspect(&mut self, height: u32) {
        if matches!(self.link, Link::Open(_)) && self.height.is_some_and(|told| told < height) {
            self.behind += 1;
            if self.behind >= 2 {
                self.lost(&Error::Lost {
                    endpoint: self.client.endpoint().to_string(),
                    why: "the websocket keeps silent about new blocks".into(),
                });
            }
        }
    }

    fn lost(&mut self, error: &Error) {
        tracing::debug!(%error, pause = ?self.pause, "no websocket to a node");
        self.link = Link::Pause(Box::pin(sleep(self.pause)));
        self.pause = (self.pause * 2).min(MOST_PAUSE);
        self.wind();
        self.ask();
    }
}

/// What [`Bell::ring`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ring {
    /// The newest block has this height.
    Height(u32),
    /// The node does not answer; see [`Bell::failing`].
    Failing,
}

/// The height in a header; none in what tells that something was missed.
fn height(told: &Told) -> Option<u32> {
    #[derive(Deserialize)]
    struct Header {
        index: u32,
    }
    let header = (told.name == "header_of_added_block").then(|| told.params.first()).flatten()?;
    serde_json::from_str::<Header>(header.get()).ok().map(|header| header.index)
}
