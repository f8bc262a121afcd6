//! The loop of the daemon: its socket, connections, and the end.

use std::{
    fs, future::pending, io, os::unix::fs::PermissionsExt as _, path::Path, pin::Pin, sync::Arc,
    time::Duration,
};

use axum::{body::Body, http::Request, response::Response};
use registry::server::connections::{Allowance, Connections, answer_all};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{mpsc, watch},
};

use crate::{
    api,
    engine::Engine,
    error::ApiError,
    life,
    listen::{self, TlsListener},
    local_stream::LocalStream,
    options::Options,
};

/// What each client gets. One that has no more input for an attached container closes its half.
const ALLOWANCE: Allowance =
    Allowance { head: Duration::from_secs(60), max_head: 64 << 10, half_close: true };
/// How long requests may still run when the daemon is to end.
const GRACE: Duration = Duration::from_secs(2);

/// Serves Docker's API until `shutdown` is ready. `ready` is called once clients may come, with
/// remarks about containers that could not be taken over. Containers run on when it ends.
///
/// # Errors
///
/// When it cannot begin: its directories or its socket cannot be used, or another daemon has them.
pub fn serve(
    options: Options,
    ready: impl FnOnce(&[String]),
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    // Every connection and every container has descriptors.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, raised);
    let _alone = alone(&options.data)?;
    let (restarts, ended) = mpsc::unbounded_channel();
    let (engine, mut remarks) = Engine::open(options, restarts)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(512 << 10)
        .max_blocking_threads(64)
        .thread_keep_alive(Duration::from_secs(2))
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        let options = &engine.options;
        let socket = options.socket.as_deref();
        let unix = socket.map(|path| listen::unix(path, options.group)).transpose()?;
        let tcp = match &options.tcp {
            Some(tcp) => Some(TlsListener::bind(tcp).await?),
            None => None,
        };
        tokio::spawn(life::restart_all(Arc::clone(&engine), ended));
        remarks.extend(life::adopt_all(&engine).await?);
        ready(&remarks);
        let (stop, stopped) = watch::channel(());
        let connections = Arc::new(Connections::new(options.max_connections));
        tokio::spawn(stay_small(Arc::clone(&connections)));
        tokio::select! {
            () = shutdown => {}
            () = local_clients(&engine, &connections, unix, &stopped) => {}
            () = clients_with_certificates(&engine, &connections, tcp, &stopped) => {}
        }
        if let Some(path) = socket {
            let _ = fs::remove_file(path);
        }
        engine.watch.close();
        drop(stop);
        connections.finish(GRACE).await;
        Ok(())
    });
    runtime.shutdown_background();
    served
}

/// Serves those of this host.
async fn local_clients(
    engine: &Arc<Engine>,
    connections: &Connections,
    listener: Option<UnixListener>,
    stopped: &watch::Receiver<()>,
) {
    let Some(listener) = listener else { return pending().await };
    let serve = |(stream, _): (UnixStream, _)| {
        let stream = LocalStream::new(stream);
        let gone = stream.clone().hung_up();
        answer_all(stream, ALLOWANCE, answer(engine), stopped.clone(), gone)
    };
    connections.accept(|| listener.accept(), serve).await;
}

/// Serves those of the network.
async fn clients_with_certificates(
    engine: &Arc<Engine>,
    connections: &Connections,
    listener: Option<TlsListener>,
    stopped: &watch::Receiver<()>,
) {
    let Some(listener) = listener else { return pending().await };
    let serve = |accepted| {
        let (answer, stopped) = (answer(engine), stopped.clone());
        async move {
            if let Some(stream) = listen::identified(accepted).await {
                let allowance = Allowance { half_close: false, ..ALLOWANCE };
                answer_all(stream, allowance, answer, stopped, pending()).await;
            }
        }
    };
    connections.accept(|| listener.accept(), serve).await;
}

/// What answers the requests of one connection.
fn answer(engine: &Arc<Engine>) -> impl Fn(Request<Body>) -> Answered + Send + 'static {
    let (engine, number) = (Arc::clone(engine), engine.watch.connection());
    move |mut request| {
        request.extensions_mut().insert(number);
        let engine = Arc::clone(&engine);
        // A task of its own: a client that goes does not stop in the middle what it has begun.
        let task = tokio::spawn(async move { api::answer(&engine, request).await });
        Box::pin(async move { task.await.unwrap_or_else(|error| ApiError::of(&error).response()) })
    }
}

/// An answer that is being made.
type Answered = Pin<Box<dyn Future<Output = Response> + Send>>;

/// How long the daemon must have had nothing to do before it gives back its pages.
const QUIET: Duration = Duration::from_secs(2);

/// While no client is connected, gives back the pages of the program that nobody uses: the kernel
/// reads them again from the file.
async fn stay_small(connections: Arc<Connections>) {
    let mut is_done = false;
    loop {
        tokio::time::sleep(QUIET).await;
        let is_quiet = connections.is_idle();
        if is_quiet && !is_done {
            let _ = tokio::task::spawn_blocking(|| drop(container::drop_clean_pages())).await;
        }
        is_done = is_quiet;
    }
}

/// Keeps a second daemon from the same directory.
fn alone(data: &Path) -> io::Result<fs::File> {
    fs::create_dir_all(data)?;
    fs::set_permissions(data, fs::Permissions::from_mode(0o700))?;
    let path = data.join("lock");
    let lock = fs::File::options().create(true).truncate(false).write(true).open(&path)?;
    let take = rustix::fs::FlockOperation::NonBlockingLockExclusive;
    // One that was killed just now may not be gone yet.
    for _ in 0..40 {
        if rustix::fs::flock(&lock, take).is_ok() {
            return Ok(lock);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(io::Error::other(format!(
        "another daemon uses {}: end it, or give this one --data DIRECTORY",
        data.display()
    )))
}
