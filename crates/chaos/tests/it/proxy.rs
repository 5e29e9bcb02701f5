//! The wire, over real TCP: each thing that can be done to it is felt at its ends, and only that.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use confab_testkit::{Flow, Proxy, Way, Wire, eventually, in_time};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// Long enough for what passes to have passed.
const SOON: Duration = Duration::from_millis(150);

/// Says back what it hears; it ends when dropped.
struct Echo {
    address: SocketAddr,
    server: AbortHandle,
}

impl Echo {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                spawn(async move {
                    let mut buffer = [0; 4096];
                    while let Ok(len @ 1..) = stream.read(&mut buffer).await {
                        if stream.write_all(&buffer[..len]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, server }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[expect(clippy::disallowed_methods, reason = "it ends with the test")]
fn spawn(work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    tokio::spawn(work).abort_handle()
}

async fn wired() -> (Echo, Proxy, TcpStream) {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.address).await;
    let mut near = connect(&proxy).await;
    assert_eq!(said_back(&mut near, b"hello").await, b"hello");
    (echo, proxy, near)
}

async fn connect(proxy: &Proxy) -> TcpStream {
    let near = TcpStream::connect(proxy.address()).await.unwrap();
    near.set_nodelay(true).unwrap();
    near
}

async fn said_back(near: &mut TcpStream, words: &[u8]) -> Vec<u8> {
    near.write_all(words).await.unwrap();
    let mut heard = vec![0; words.len()];
    in_time("it is said back", near.read_exact(&mut heard))
        .await
        .unwrap();
    heard
}

/// What is there within a moment; nothing: `None`.
async fn soon(near: &mut TcpStream) -> Option<std::io::Result<Vec<u8>>> {
    let mut buffer = vec![0; 4096];
    let read = timeout(SOON, near.read(&mut buffer)).await.ok()?;
    Some(read.map(|len| buffer[..len].to_vec()))
}

async fn until_reset(near: &mut TcpStream) {
    let mut buffer = [0; 4096];
    loop {
        match in_time("it is reset", near.read(&mut buffer)).await {
            Ok(0) => panic!("it was closed, not reset"),
            Ok(_) => {}
            Err(error) => return assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
}

async fn until_closed(near: &mut TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    in_time("it is closed", near.read_to_end(&mut heard))
        .await
        .unwrap();
    heard
}

#[tokio::test]
async fn a_whole_wire_passes_much_in_order_and_ends_with_its_ends() {
    let (_echo, _proxy, near) = wired().await;
    let words: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let (mut read, mut write) = near.into_split();
    let sent = words.clone();
    spawn(async move {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut heard = Vec::new();
    in_time("all is said back", read.read_to_end(&mut heard))
        .await
        .unwrap();
    assert!(heard == words);
}

#[tokio::test]
async fn a_slow_wire_takes_its_time_each_way() {
    let (_echo, proxy, mut near) = wired().await;
    for way in Way::BOTH {
        let wire = Wire::slow(Duration::from_millis(100));
        proxy.set(way, wire);
    }
    let began = Instant::now();
    said_back(&mut near, b"slow").await;
    assert!(began.elapsed() >= Duration::from_millis(200));
    proxy.mend().await;
    let began = Instant::now();
    said_back(&mut near, b"fast").await;
    assert!(began.elapsed() < Duration::from_millis(100));
}

#[tokio::test]
async fn jitter_varies_and_keeps_the_order() {
    let (_echo, proxy, near) = wired().await;
    let wire = Wire {
        jitter: Duration::from_millis(20),
        ..Wire::slow(Duration::from_millis(20))
    };
    proxy.set(Way::There, wire);
    let (mut read, mut write) = near.into_split();
    let words: Vec<u8> = (0..50).collect();
    for word in &words {
        write.write_all(&[*word]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut heard = vec![0; words.len()];
    in_time("all is said back", read.read_exact(&mut heard))
        .await
        .unwrap();
    assert_eq!(heard, words);
}

#[tokio::test]
async fn a_narrow_wire_passes_so_much_in_a_second() {
    let (_echo, proxy, mut near) = wired().await;
    let wire = Wire {
        bytes_per_second: Some(10_000),
        ..Wire::default()
    };
    proxy.set(Way::Back, wire);
    let began = Instant::now();
    said_back(&mut near, &[7; 5_000]).await;
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(450), "{took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn a_sliced_wire_passes_a_few_bytes_at_a_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await;
    let wire = Wire {
        piece: Some(1),
        ..Wire::default()
    };
    proxy.set(Way::There, wire);
    let mut near = connect(&proxy).await;
    near.write_all(&[1; 200]).await.unwrap();
    let (mut far, _) = listener.accept().await.unwrap();
    let mut pieces = Vec::new();
    let mut buffer = [0; 200];
    while pieces.iter().sum::<usize>() < 200 {
        pieces.push(
            in_time("a piece comes", far.read(&mut buffer))
                .await
                .unwrap(),
        );
    }
    // The network may put some of them together again.
    assert!(pieces.len() > 20, "{pieces:?}");
}

#[tokio::test]
async fn a_black_hole_takes_one_way_only_and_resets_what_lost_bytes() {
    for way in Way::BOTH {
        let (_echo, proxy, mut near) = wired().await;
        let mut quiet = connect(&proxy).await;
        assert_eq!(said_back(&mut quiet, b"before").await, b"before");
        proxy.set(way, Wire::swallowed());
        near.write_all(b"lost").await.unwrap();
        assert!(soon(&mut near).await.is_none());
        let mut new = connect(&proxy).await;
        new.write_all(b"lost too").await.unwrap();
        assert!(soon(&mut new).await.is_none());
        proxy.mend().await;
        until_reset(&mut near).await;
        until_reset(&mut new).await;
        assert_eq!(said_back(&mut quiet, b"after").await, b"after");
    }
}

#[tokio::test]
async fn the_end_of_a_connection_is_not_known_through_a_black_hole() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await;
    let near = connect(&proxy).await;
    let (mut far, _) = listener.accept().await.unwrap();
    proxy.set(Way::There, Wire::swallowed());
    drop(near);
    assert!(soon(&mut far).await.is_none());
    proxy.mend().await;
    until_reset(&mut far).await;
}

#[tokio::test]
async fn what_is_held_comes_later() {
    let (_echo, proxy, mut near) = wired().await;
    proxy.set(Way::Back, Wire::held());
    near.write_all(b"held").await.unwrap();
    assert!(soon(&mut near).await.is_none());
    proxy.mend().await;
    let mut heard = [0; 4];
    near.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"held");
}

#[tokio::test]
async fn replies_are_held_from_a_request_on() {
    let (_echo, proxy, mut near) = wired().await;
    let mut other = connect(&proxy).await;
    proxy.hold_after(b"COMMIT");
    assert_eq!(said_back(&mut near, b"INSERT").await, b"INSERT");
    // In two pieces, which must not hide it.
    near.write_all(b"now COM").await.unwrap();
    assert_eq!(
        soon(&mut near).await.unwrap().unwrap(),
        b"now COM",
        "nothing is held yet"
    );
    near.write_all(b"MIT").await.unwrap();
    in_time("it is held", proxy.until_held(1)).await;
    assert!(soon(&mut near).await.is_none());
    assert_eq!(said_back(&mut other, b"as ever").await, b"as ever");
    assert_eq!(proxy.held(), 1);
    proxy.mend().await;
    let mut heard = [0; 3];
    near.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"MIT");
}

#[tokio::test]
async fn what_is_held_is_lost_by_a_reset() {
    let (_echo, proxy, mut near) = wired().await;
    proxy.hold_after(b"COMMIT");
    near.write_all(b"COMMIT").await.unwrap();
    in_time("it is held", proxy.until_held(1)).await;
    proxy.reset();
    until_reset(&mut near).await;
    let mut near = connect(&proxy).await;
    assert_eq!(said_back(&mut near, b"anew").await, b"anew");
}

#[tokio::test]
async fn a_connection_that_is_stranded_stays_so() {
    let (_echo, proxy, mut near) = wired().await;
    proxy.strand();
    near.write_all(b"lost").await.unwrap();
    assert!(soon(&mut near).await.is_none());
    let mut new = connect(&proxy).await;
    assert_eq!(said_back(&mut new, b"anew").await, b"anew");
    proxy.mend().await;
    near.write_all(b"lost too").await.unwrap();
    assert!(soon(&mut near).await.is_none());
    proxy.reset();
    until_reset(&mut near).await;
}

#[tokio::test]
async fn a_connection_ends_after_so_many_bytes() {
    let (_echo, proxy, mut near) = wired().await;
    let wire = Wire {
        cut_after: Some(5),
        ..Wire::default()
    };
    proxy.set(Way::Back, wire);
    near.write_all(b"123").await.unwrap();
    assert_eq!(soon(&mut near).await.unwrap().unwrap(), b"123");
    near.write_all(b"45678").await.unwrap();
    assert_eq!(until_closed(&mut near).await, b"45");
    let mut new = connect(&proxy).await;
    new.write_all(b"1234567").await.unwrap();
    assert_eq!(until_closed(&mut new).await, b"12345");
}

#[tokio::test]
async fn connections_are_closed_and_come_back() {
    let (_echo, proxy, mut near) = wired().await;
    proxy.close();
    assert_eq!(until_closed(&mut near).await, b"");
    let mut near = connect(&proxy).await;
    assert_eq!(said_back(&mut near, b"anew").await, b"anew");
    proxy.cut();
    assert_eq!(until_closed(&mut near).await, b"");
    assert_eq!(until_closed(&mut connect(&proxy).await).await, b"");
    proxy.mend().await;
    assert_eq!(
        said_back(&mut connect(&proxy).await, b"there").await,
        b"there"
    );
}

#[tokio::test]
async fn nobody_listens_where_connections_are_refused() {
    let (_echo, proxy, mut near) = wired().await;
    proxy.refuse().await;
    until_reset(&mut near).await;
    let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    proxy.mend().await;
    assert_eq!(
        said_back(&mut connect(&proxy).await, b"there").await,
        b"there"
    );
}

#[tokio::test]
async fn several_targets_are_tried_in_their_order() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let echo = Echo::start().await;
    let targets = [gone.local_addr().unwrap(), echo.address];
    drop(gone);
    let proxy = Proxy::start_for(&targets).await;
    assert_eq!(
        said_back(&mut connect(&proxy).await, b"there").await,
        b"there"
    );
}

#[tokio::test]
async fn nothing_is_left_of_a_wire_that_is_dropped() {
    let echo = Echo::start().await;
    let alive = || Handle::current().metrics().num_alive_tasks();
    let before = alive();
    let proxy = Proxy::start(echo.address).await;
    let mut connections = Vec::new();
    for flow in [Flow::Passes, Flow::Held, Flow::Swallowed] {
        let wire = Wire {
            flow,
            ..Wire::default()
        };
        proxy.set(Way::Back, wire);
        let mut near = connect(&proxy).await;
        near.write_all(b"hello").await.unwrap();
        connections.push(near);
    }
    assert!(alive() > before);
    drop(proxy);
    for mut near in connections {
        let mut heard = Vec::new();
        // Closed or reset: what counts is that it ends.
        let _ = in_time("it ends", near.read_to_end(&mut heard)).await;
    }
    eventually("its tasks are gone", async || {
        (alive() == before).then_some(())
    })
    .await;
}
