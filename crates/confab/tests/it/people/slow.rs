//! A client that stops reading is closed with a code of its own; it has lost nothing when it comes back, and nobody else
//! was held up.

use confab_testkit::people::{Dialect, From, Positions};
use confab_testkit::{Shape, Socket, System, direct};

use super::gateway;

const SLOW_CONSUMER: u16 = 4008;

/// The largest message there is; enough of them fill the socket's queue and what the network holds.
const BYTES: usize = 16 * 1024 - 16;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_closed_and_resumes() {
    for shape in Shape::ENDS {
        let system = System::start(shape).await;
        let [ann, ben] = system.people_named(["ann", "ben"]).await;
        let mut sender = direct::Client::connect(gateway(&system, 0), &ann).await;
        let mut reader = direct::Client::connect(gateway(&system, 1), &ben).await;
        let path = format!("{}?token={}", Dialect::Direct.room(), ben.token);
        let address = gateway(&system, 1);
        let mut sleeper = Socket::open_narrow(address, &path, 4096).await.unwrap();

        let mut sent = Vec::new();
        // Far more than the queue's 1 MiB and 256 frames and the buffers of the connection.
        for index in 0..600 {
            let text = format!("{index:<BYTES$}.");
            sent.push(sender.say(ben.id, &text).await);
            // The other socket of the same user is told as if nothing was.
            reader.hear("re_message", &text).await;
        }
        // The code reaches who reads again before the server's patience ends.
        let code = sleeper.closed().await;
        assert!(matches!(code, None | Some(SLOW_CONSUMER)), "{code:?}");

        // What it has read when it wakes up is what came in order; the rest comes with the resume.
        let woken: Vec<_> = sleeper.log().iter().filter_map(direct::parse).collect();
        assert_eq!(woken, sent[..woken.len()], "{shape:?}");
        let position = woken.last().map_or(0, |message| message.seq);
        let from = From::Resume(Positions::from([(sent[0].thread, position)]));
        let mut back = direct::Client::connect_from(address, &ben, &from).await;
        let last = &sent.last().unwrap().body;
        back.hear("re_message", last).await;
        assert_eq!(back.heard(), sent[woken.len()..], "{shape:?}");
        system.stop().await;
    }
}
