//! Files on their way in.

use confab_rpc::time::from_wire;
use confab_rpc::{Fault, Reason};
use confab_runtime::Clock;
use futures_util::{StreamExt, stream};

use crate::{Bytes, House, OWNER, THREAD, by_owner, chunk, commit, parts, reason};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_described_and_comes_back() {
    for house in House::all().await {
        let stored = house.upload("Gr\u{FC}\u{DF}e.PNG", PNG).await;
        let digits = stored.id.replace('-', "");
        assert_eq!(stored.name, format!("{digits}.png"));
        assert_eq!(stored.owner_id, OWNER);
        assert_eq!(stored.thread_id, THREAD);
        assert_eq!(stored.original_name, "Gr\u{FC}\u{DF}e.PNG");
        assert_eq!(stored.content_type, "image/png");
        assert!(stored.inline);
        assert_eq!(stored.size, 16);
        assert_eq!(
            stored.sha256,
            "02a3e298f1533f62558c58e4c70edcab9af5a50d62d925fd5390942020fb0fb8"
        );
        assert_eq!(
            from_wire(stored.created_at.unwrap()),
            Some(house.clock.now())
        );

        let (header, bytes) = house.download(by_owner(&stored.name)).await.unwrap();
        assert_eq!(header, stored);
        assert_eq!(bytes, PNG);
        assert_eq!(house.bytes.of(&stored.id).unwrap(), PNG);
        assert_eq!(house.files().await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_is_to_the_byte() {
    for house in House::all().await {
        let bytes = vec![b'x'; 1024 * 1024];
        let stored = house.upload("all of it.txt", &bytes).await;
        assert_eq!(stored.size, 1024 * 1024);
        let (_, back) = house.download(by_owner(&stored.name)).await.unwrap();
        assert!(back == bytes);

        let longer = parts(
            &[bytes.as_slice(), b"x"].concat(),
            commit(THREAD, "longer.txt", ""),
        );
        let refused = Fault::from(house.client().upload(longer).await.unwrap_err());
        assert_eq!(refused.reason, Reason::AttachmentTooLarge);
        assert_eq!(refused.limit, Some(1024 * 1024));
        assert_eq!(house.files().await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_without_end_is_refused_while_it_runs() {
    for house in House::all().await {
        let full = chunk(&vec![0; 64 * 1024]);
        let endless = stream::repeat(full.clone());
        assert_eq!(
            reason(house.client().upload(endless).await),
            Reason::AttachmentTooLarge
        );
        let silent_then = stream::iter(vec![full; 17]).chain(stream::pending());
        assert_eq!(
            reason(house.client().upload(silent_then).await),
            Reason::AttachmentTooLarge
        );
        assert_eq!(house.files().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_without_commit_leaves_nothing() {
    for house in House::all().await {
        let half = stream::iter([chunk(b"half")]);
        assert_eq!(reason(house.client().upload(half).await), Reason::Invalid);
        let bad_thread = parts(b"whole", commit("7", "x.txt", ""));
        assert_eq!(
            reason(house.client().upload(bad_thread).await),
            Reason::Invalid
        );
        assert_eq!(house.files().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_is_a_file() {
    for house in House::all().await {
        let stored = house.upload("", b"").await;
        assert_eq!(stored.original_name, "file");
        assert_eq!(stored.name, stored.id.replace('-', ""));
        assert_eq!(stored.size, 0);
        let (_, bytes) = house.download(by_owner(&stored.name)).await.unwrap();
        assert!(bytes.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_change_nothing_on_disk() {
    let long = "n".repeat(10_000);
    for house in House::all().await {
        let names = [
            "../../../../escape.txt",
            "..\\..\\escape.txt",
            "/etc/cron.d/escape",
            "a\0.txt",
            "a\r\nX-Evil: 1.txt",
            "\u{202E}txt.exe",
            "CON",
            "..",
            &long,
        ];
        for name in names {
            let stored = house.upload(name, b"text").await;
            let digits = stored.id.replace('-', "");
            assert!(stored.name.starts_with(&digits), "{name:?}");
            assert!(stored.original_name.len() <= 255);
            assert!(
                !stored
                    .original_name
                    .contains(['/', '\\', '\0', '\r', '\n', '\u{202E}'])
            );
            let (_, bytes) = house.download(by_owner(&stored.name)).await.unwrap();
            assert_eq!(bytes, b"text");
        }
        if let Bytes::Files(folder) = &house.bytes {
            let outside = std::fs::read_dir(folder.path()).unwrap();
            assert_eq!(outside.count(), 1, "only the directory itself");
        }
        assert_eq!(house.files().await, names.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_run_a_script_is_not_shown() {
    for house in House::all().await {
        for (name, declared, bytes) in [
            ("x.svg", "image/svg+xml", &b"<svg onload='alert(1)'/>"[..]),
            ("x.html", "text/html", b"<script>alert(1)</script>"),
            (
                "x.txt",
                "text/plain",
                b"<!doctype html><script>alert(1)</script>",
            ),
            ("x.gif", "image/gif", b"GIF89a=1;alert(1)"),
            ("x.js", "", b"alert(1)"),
            ("x.png", "text/html", PNG),
        ] {
            let parts = parts(bytes, commit(THREAD, name, declared));
            let stored = house.client().upload(parts).await.unwrap().into_inner();
            assert_eq!(stored.content_type, "application/octet-stream", "{name}");
            assert!(!stored.inline, "{name}");
        }
    }
}
