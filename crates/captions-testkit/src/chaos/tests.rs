use tokio::time::timeout;

use super::*;

const LIMIT: Duration = Duration::from_secs(5);
const MOMENT: Duration = Duration::from_millis(150);

/// A server that sends back what it gets.
async fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = socket.split();
                drop(tokio::io::copy(&mut read, &mut write).await);
            });
        }
    });
    port
}

async fn client(proxy: &Chaos) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

/// Says so much and waits for all of it to come back.
async fn round_trip(socket: &mut TcpStream, bytes: usize) -> io::Result<Duration> {
    let begun = Instant::now();
    socket.write_all(&vec![7; bytes]).await?;
    let mut back = vec![0; bytes];
    socket.read_exact(&mut back).await?;
    Ok(begun.elapsed())
}

async fn is_silent(socket: &mut TcpStream) -> bool {
    timeout(MOMENT, round_trip(socket, 3)).await.is_err()
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < end, "never happened: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn it_passes_everything_on_and_counts() {
    let proxy = Chaos::to(echo().await);
    let (mut one, mut other) = (client(&proxy).await, client(&proxy).await);

    round_trip(&mut one, 100_000).await.unwrap();
    round_trip(&mut other, 3).await.unwrap();
    assert_eq!((proxy.total(), proxy.open(), proxy.peak()), (2, 2, 2));
    drop(one);
    until("one has left", || proxy.open() == 1).await;
    round_trip(&mut client(&proxy).await, 3).await.unwrap();

    assert_eq!((proxy.total(), proxy.peak()), (3, 2));
}

#[tokio::test]
async fn a_delay_delays_and_does_not_limit_the_rate() {
    let proxy = Chaos::to(echo().await);
    let delay = Duration::from_millis(100);
    proxy.set(Way::Latency {
        delay,
        jitter: Duration::from_millis(50),
    });
    let mut socket = client(&proxy).await;

    let took = round_trip(&mut socket, 200_000).await.unwrap();

    assert!(took >= delay && took < delay * 8, "{took:?}");
}

#[tokio::test]
async fn the_rate_is_limited() {
    let proxy = Chaos::to(echo().await);
    proxy.set(Way::Bandwidth(10_000));

    let took = round_trip(&mut client(&proxy).await, 2_000).await.unwrap();

    assert!(took >= Duration::from_millis(200), "{took:?}");
}

#[tokio::test]
async fn a_silent_one_accepts_and_says_nothing_until_it_is_let_through() {
    let proxy = Chaos::to(echo().await);
    let mut before = client(&proxy).await;
    round_trip(&mut before, 3).await.unwrap();
    proxy.set(Way::Blackhole);
    let mut after = client(&proxy).await;

    assert!(is_silent(&mut before).await && is_silent(&mut after).await);
    proxy.set(Way::Pass);
    let mut held_back = [0; 3];
    for socket in [&mut before, &mut after] {
        timeout(LIMIT, socket.read_exact(&mut held_back))
            .await
            .unwrap()
            .unwrap();
    }
}

#[tokio::test]
async fn nobody_listens_and_then_somebody_does_again_on_the_same_port() {
    let proxy = Chaos::to(echo().await);
    let mut before = client(&proxy).await;
    round_trip(&mut before, 3).await.unwrap();

    proxy.set(Way::Refuse);
    until("the connection is gone", || proxy.open() == 0).await;
    let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
    proxy.set(Way::Pass);
    let again = async {
        loop {
            match TcpStream::connect(proxy.address()).await {
                Ok(socket) => return socket,
                Err(_) => sleep(Duration::from_millis(2)).await,
            }
        }
    };
    let mut again = timeout(LIMIT, again).await.unwrap();

    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(
        round_trip(&mut before, 3).await.unwrap_err().kind(),
        io::ErrorKind::ConnectionReset
    );
    round_trip(&mut again, 3).await.unwrap();
}

#[tokio::test]
async fn connections_are_reset_and_not_closed() {
    let proxy = Chaos::to(echo().await);
    let mut before = client(&proxy).await;
    round_trip(&mut before, 3).await.unwrap();
    proxy.set(Way::Reset);
    let mut after = client(&proxy).await;

    for socket in [&mut before, &mut after] {
        let ended = timeout(LIMIT, socket.read(&mut [0; 1])).await.unwrap();
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn an_end_arrives_late() {
    let proxy = Chaos::to(echo().await);
    proxy.set(Way::SlowClose(MOMENT));
    let mut socket = client(&proxy).await;
    round_trip(&mut socket, 3).await.unwrap();

    let begun = Instant::now();
    socket.shutdown().await.unwrap();
    let ended = timeout(LIMIT, socket.read(&mut [0; 1])).await.unwrap().unwrap();

    assert_eq!(ended, 0);
    assert!(begun.elapsed() >= MOMENT);
}

#[tokio::test]
async fn one_direction_is_dead_and_the_other_lives() {
    // What the server heard, and a word from it every few milliseconds.
    let heard = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let ears = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (mut read, mut write) = socket.into_split();
            let ears = Arc::clone(&ears);
            tokio::spawn(async move {
                while let Ok(1..) = read.read(&mut [0; 1]).await {
                    ears.fetch_add(1, Ordering::Relaxed);
                }
            });
            tokio::spawn(async move {
                while write.write_all(b".").await.is_ok() {
                    sleep(Duration::from_millis(5)).await;
                }
            });
        }
    });
    let proxy = Chaos::to(port);
    proxy.next(Way::HalfOpen(Direction::ToServer));
    proxy.next(Way::HalfOpen(Direction::ToClient));

    let mut deaf = client(&proxy).await;
    deaf.write_all(b"x").await.unwrap();
    timeout(LIMIT, deaf.read_exact(&mut [0; 5])).await.unwrap().unwrap();
    assert_eq!(heard.load(Ordering::Relaxed), 0);
    let mut mute = client(&proxy).await;
    mute.write_all(b"x").await.unwrap();
    until("the server hears it", || heard.load(Ordering::Relaxed) == 1).await;

    assert!(timeout(MOMENT, mute.read(&mut [0; 1])).await.is_err());
}

#[tokio::test]
async fn a_connection_is_cut_after_so_many_bytes() {
    let proxy = Chaos::to(echo().await);
    proxy.set(Way::CutAfter(10));
    let mut socket = client(&proxy).await;

    round_trip(&mut socket, 10).await.unwrap();
    socket.write_all(&[7; 5]).await.unwrap();

    assert!(matches!(
        timeout(LIMIT, socket.read(&mut [0; 5])).await.unwrap(),
        Ok(0) | Err(_)
    ));
}

#[tokio::test]
async fn each_connection_can_have_its_own_way() {
    let proxy = Chaos::to(echo().await);
    proxy.next(Way::Pass);
    proxy.next(Way::Blackhole);
    let (mut first, mut second, mut third) = (client(&proxy).await, client(&proxy).await, client(&proxy).await);
    round_trip(&mut first, 3).await.unwrap();
    round_trip(&mut third, 3).await.unwrap();
    assert!(is_silent(&mut second).await);

    proxy.set_one(0, Way::Blackhole);

    assert!(is_silent(&mut first).await);
    round_trip(&mut third, 3).await.unwrap();
}

#[tokio::test]
async fn a_url_is_led_through_it() {
    let port = echo().await;

    let (proxy, through) = Chaos::before(&format!("postgres://me@127.0.0.1:{port}/data?x=1"));

    assert_eq!(through, format!("postgres://me@{}/data?x=1", proxy.address()));
}
