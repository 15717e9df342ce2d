use std::{net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
};

/// What a [`Proxy`] does with the bytes that come back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    None,
    Delay(Duration),
    /// Takes requests and never answers.
    Swallow,
    /// Passes the request on and cuts the connection when the answer comes.
    CutReply,
    /// Changes the last byte of each request, or of each answer.
    BendRequest,
    BendReply,
}

/// A TCP proxy before one server, whose fault can be changed while it runs.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    fault: Arc<Mutex<Fault>>,
    task: JoinHandle<()>,
    /// What went to the server last, to be sent again.
    pub(crate) heard: Arc<Mutex<Vec<u8>>>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let fault = Arc::new(Mutex::new(Fault::None));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (faults, hears) = (Arc::clone(&fault), Arc::clone(&heard));
        let task = tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let Ok(far) = TcpStream::connect(server).await else { continue };
                near.set_nodelay(true).unwrap();
                far.set_nodelay(true).unwrap();
                let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
                let (faults, hears) = (Arc::clone(&faults), Arc::clone(&hears));
                tokio::spawn(async move {
                    tokio::select! {
                        () = asking(near_read, far_write, &faults, &hears) => {}
                        () = answering(far_read, near_write, &faults) => {}
                    }
                });
            }
        });
        Self { address, fault, task, heard }
    }

    pub(crate) fn set(&self, fault: Fault) {
        *self.fault.lock() = fault;
    }
}

async fn asking(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, fault: &Mutex<Fault>, heard: &Mutex<Vec<u8>>) {
    let mut buffer = vec![0; 65_536];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        let bytes = &mut buffer[..count];
        let now = *fault.lock();
        if now == Fault::BendRequest {
            // The closing brace of the body becomes a blank: not the same bytes, whatever they mean.
            bytes[count - 1] = b' ';
        }
        heard.lock().clear();
        heard.lock().extend_from_slice(bytes);
        if now != Fault::Swallow && to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

async fn answering(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, fault: &Mutex<Fault>) {
    let mut buffer = vec![0; 65_536];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        let now = *fault.lock();
        match now {
            Fault::CutReply => return,
            Fault::Delay(span) => tokio::time::sleep(span).await,
            Fault::BendReply => buffer[count - 1] = b' ',
            Fault::None | Fault::Swallow | Fault::BendRequest => {}
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
