//! Connections to the control socket: lines in, lines out, and bounds on both.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    ControlSocket, Desk,
    answer::{Answer, Done},
    protocol::{MAX_REQUEST, Request, Which},
    sessions,
};

/// Connections at a time: operators and their scripts are few.
const CONNECTIONS: usize = 16;

/// How long a client may be silent, and how long it may take to read.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait after a failure to accept, for one when descriptors ran out.
const RECOVERY: Duration = Duration::from_millis(100);

/// The client has gone, or is taken for gone.
struct Gone;

/// Serves until `stop` says so.
///
/// # Errors
/// When the socket cannot be waited for.
pub(crate) async fn serve(
    socket: ControlSocket,
    desk: Arc<Desk>,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let listener = UnixListener::from_std(socket.listener.try_clone()?)?;
    // Dropped at the end, which ends all of them.
    let mut conversations = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            Some(_) = conversations.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if conversations.len() < CONNECTIONS => {
                    let (desk, stop) = (Arc::clone(&desk), stop.clone());
                    conversations.spawn(async move { converse(stream, &desk, stop).await });
                }
                // Closed at once: whoever holds the others open may read and write nothing for a minute only.
                Ok(_) => {}
                Err(_) => sleep(RECOVERY).await,
            },
        }
    }
    // Whoever has asked for the end is still to be told.
    while conversations.join_next().await.is_some() {}
    Ok(())
}

async fn converse(stream: UnixStream, desk: &Arc<Desk>, mut stop: watch::Receiver<bool>) {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        // What has been asked is answered; nobody is waited for who has asked nothing.
        let request = tokio::select! {
            biased;
            request = next_request(&mut read) => request,
            _ = stop.wait_for(|stopped| *stopped) => return,
        };
        let Ok(request) = request else {
            return;
        };
        let answered = match request {
            Ok(Request::Sessions(which)) => list(&mut write, desk, &which).await,
            Ok(request) => tell(&mut write, &[desk.answer(request).await]).await,
            Err(wrong) => tell(&mut write, &[Answer::Error(wrong)]).await,
        };
        if answered.is_err() {
            return;
        }
    }
}

/// Reads a line; what it says may make no sense.
async fn next_request(
    read: &mut BufReader<OwnedReadHalf>,
) -> Result<Result<Request, String>, Gone> {
    let mut line = Vec::new();
    let mut bounded = read.take(MAX_REQUEST as u64);
    let reading = timeout(PATIENCE, bounded.read_until(b'\n', &mut line)).await;
    reading.map_err(|_| Gone)?.map_err(|_| Gone)?;
    match line.strip_suffix(b"\n") {
        Some(line) => Ok(serde_json::from_slice(line).map_err(|error| error.to_string())),
        // Too long, or cut short: there is no telling where the next one begins.
        None => Err(Gone),
    }
}

/// Answers with a line for each selected session. The next piece is asked for when the client has read this one.
async fn list(write: &mut OwnedWriteHalf, desk: &Arc<Desk>, which: &Which) -> Result<(), Gone> {
    let selection = match which.selection() {
        Ok(selection) => Arc::new(selection),
        Err(wrong) => return tell(write, &[Answer::Error(wrong)]).await,
    };
    let mut count = 0;
    for worker in 0..desk.workers() {
        let mut next = Some(0);
        while let Some(first) = next {
            let (found, rest) = match desk.list(worker, &selection, first).await {
                Ok(piece) => piece,
                Err(lost) => return tell(write, &[Answer::Error(lost)]).await,
            };
            let described = found.iter().map(sessions::session);
            let lines: Vec<Answer> = described
                .map(|session| Answer::Session(session.into()))
                .collect();
            count += lines.len() as u64;
            tell(write, &lines).await?;
            next = rest;
        }
    }
    let done = Done {
        sessions: Some(count),
        ..Done::default()
    };
    tell(write, &[Answer::Done(done)]).await
}

async fn tell(write: &mut OwnedWriteHalf, lines: &[Answer]) -> Result<(), Gone> {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line).map_err(|_| Gone)?;
        text.push(b'\n');
    }
    let writing = timeout(PATIENCE, write.write_all(&text)).await;
    writing.map_err(|_| Gone)?.map_err(|_| Gone)
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, sync::Arc, time::Duration};

    use tokio::{
        io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
        net::UnixStream,
        sync::watch,
        task::JoinHandle,
        time::timeout,
    };
    use turn_config::settings::Control;

    use super::{CONNECTIONS, MAX_REQUEST, serve};
    use crate::{
        Server,
        control::{ControlSocket, Desk},
        metrics_page::MetricsPage,
    };

    /// A running server and its control socket.
    struct Fixture {
        path: PathBuf,
        _stop: watch::Sender<bool>,
        _serving: JoinHandle<std::io::Result<()>>,
    }

    impl Fixture {
        fn start(name: &str) -> Self {
            let server = Server::builder().user("ann", "secret").start().unwrap();
            let (desk, _) = Desk::new(Arc::new(server), MetricsPage::new("example.org"));
            let path = std::env::temp_dir().join(format!("turnpike-{name}-{}", std::process::id()));
            let wanted = Control::At(path.clone());
            let socket = ControlSocket::bind(&wanted).unwrap().unwrap();
            let (stop, stopping) = watch::channel(false);
            Self {
                path,
                _stop: stop,
                _serving: tokio::spawn(serve(socket, desk, stopping)),
            }
        }

        async fn connect(&self) -> BufReader<UnixStream> {
            BufReader::new(UnixStream::connect(&self.path).await.unwrap())
        }
    }

    /// The answer's first line; empty when the server has closed the connection.
    async fn ask(client: &mut BufReader<UnixStream>, request: &[u8]) -> String {
        let _ = client.write_all(request).await;
        let mut line = String::new();
        let read = client.read_line(&mut line);
        let _ = timeout(Duration::from_secs(30), read)
            .await
            .expect("no answer");
        line
    }

    #[tokio::test]
    async fn nonsense_is_answered_and_what_has_no_end_is_cut() {
        let fixture = Fixture::start("control-nonsense");
        let mut client = fixture.connect().await;
        for nonsense in [&b"{\n"[..], b"\xff\xfe\n", b"\n", b"{\"do\":\"kill\"}\n"] {
            let answer = ask(&mut client, nonsense).await;
            assert!(answer.starts_with("{\"error\":"), "{answer}");
        }
        let answer = ask(&mut client, b"{\"do\":\"status\"}\n").await;
        assert!(answer.starts_with("{\"status\":"), "{answer}");
        assert_eq!(ask(&mut client, &vec![b' '; MAX_REQUEST]).await, "");
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_holds_up_nobody_else() {
        let fixture = Fixture::start("control-slow");
        let mut deaf = fixture.connect().await;
        let request = b"{\"do\":\"metrics\"}\n".repeat(4096);
        // Until neither side takes more: the server's answers have filled the way back.
        let _ = timeout(Duration::from_secs(2), deaf.write_all(&request)).await;
        let mut other = fixture.connect().await;
        for _ in 0..3 {
            let answer = ask(&mut other, b"{\"do\":\"sessions\"}\n").await;
            assert_eq!(answer, "{\"done\":{\"sessions\":0}}\n");
        }
    }

    #[tokio::test]
    async fn connections_are_few_and_a_free_place_is_given_again() {
        let fixture = Fixture::start("control-many");
        let status = b"{\"do\":\"status\"}\n";
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut client = fixture.connect().await;
            assert_ne!(ask(&mut client, status).await, "");
            held.push(client);
        }
        assert_eq!(ask(&mut fixture.connect().await, status).await, "");
        held.pop();
        // The server notices the end of a connection in its own time.
        let served = async { while ask(&mut fixture.connect().await, status).await.is_empty() {} };
        timeout(Duration::from_secs(30), served).await.unwrap();
    }
}
