//! A relay in front of a server that can stop passing anything on while it keeps every connection open: what a broken
//! network or a hanging machine looks like from here.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

pub(crate) struct Relay {
    port: u16,
    silence: watch::Sender<Silence>,
    accepted: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, Default, PartialEq)]
struct Silence {
    now: bool,
    /// Silences so far: whoever was there at an earlier one stays silent after it.
    count: u32,
}

impl Relay {
    /// A relay to this port of loopback. It lives as long as the runtime of the test.
    pub(crate) async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (silence, _) = watch::channel(Silence::default());
        let accepted = Arc::new(AtomicUsize::new(0));
        tokio::spawn(accept(listener, server, silence.clone(), Arc::clone(&accepted)));
        Self {
            port,
            silence,
            accepted,
        }
    }

    /// The same URL by way of the relay.
    pub(crate) fn url(&self, direct: &str, server: u16) -> String {
        direct.replace(&format!(":{server}/"), &format!(":{}/", self.port))
    }

    /// From now on nothing is passed on. A connection that exists now, or comes before [`Relay::speak`], is silent for good.
    pub(crate) fn fall_silent(&self) {
        self.silence.send_modify(|silence| {
            silence.now = true;
            silence.count += 1;
        });
    }

    /// Connections that come from now on work.
    pub(crate) fn speak(&self) {
        self.silence.send_modify(|silence| silence.now = false);
    }

    /// Connections that came so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, server: u16, silence: watch::Sender<Silence>, accepted: Arc<AtomicUsize>) {
    loop {
        let (mut near, _) = listener.accept().await.unwrap();
        accepted.fetch_add(1, Ordering::Relaxed);
        let mut silence = silence.subscribe();
        let begun = silence.borrow().count;
        tokio::spawn(async move {
            let pass_on = async {
                let mut far = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                drop(copy_bidirectional(&mut near, &mut far).await);
            };
            tokio::pin!(pass_on);
            tokio::select! {
                biased;
                _ = silence.wait_for(|silence| silence.now || silence.count != begun) => {}
                () = &mut pass_on => return,
            }
            // Both sockets stay open, and nobody reads them.
            std::future::pending::<()>().await;
        });
    }
}
