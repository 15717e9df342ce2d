use std::{
    io::{self, Write},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    time::Duration,
};

use anyhow::Result;

/// Lines that may wait for a slow reader of stderr before further ones are dropped.
const WAITING: usize = 16_384;

enum Order {
    Line(Box<[u8]>),
    Flush(SyncSender<()>),
}

/// Where log lines go: a thread of its own, so that a stuck reader of stderr never stops the process.
/// Lines that find no room are counted and dropped.
#[derive(Clone)]
pub(super) struct Sink(SyncSender<Order>);

impl Sink {
    pub(super) fn to(out: impl Write + Send + 'static) -> Result<Self> {
        let (sender, orders) = sync_channel(WAITING);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || run(&orders, out))?;
        Ok(Self(sender))
    }

    pub(super) fn stderr() -> Result<Self> {
        Self::to(io::stderr())
    }

    pub(super) fn write(&self, line: &[u8]) {
        if self.0.try_send(Order::Line(line.into())).is_err() {
            metrics::counter!("log_lines_dropped_total").increment(1);
        }
    }

    /// Waits until everything so far was written, but not for long.
    pub(super) fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.0.try_send(Order::Flush(done)).is_ok() {
            let _: Result<(), RecvTimeoutError> = wait.recv_timeout(Duration::from_millis(500));
        }
    }
}

fn run(orders: &Receiver<Order>, out: impl Write) {
    let mut out = io::BufWriter::with_capacity(64 * 1024, out);
    while let Ok(first) = orders.recv() {
        let mut next = Some(first);
        while let Some(order) = next {
            // Nobody is left to hear that stderr is broken.
            match order {
                Order::Line(line) => drop(out.write_all(&line)),
                Order::Flush(done) => {
                    drop(out.flush());
                    let _ = done.try_send(());
                }
            }
            next = orders.try_recv().ok();
        }
        drop(out.flush());
    }
}
