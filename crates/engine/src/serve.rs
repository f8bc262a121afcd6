//! The loop of the daemon: its socket, connections, and the end.

use std::{
    convert::Infallible, fs, io, os::unix::fs::PermissionsExt as _, path::Path, pin::pin,
    sync::Arc, time::Duration,
};

use axum::{body::Body, http::Request};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Semaphore, mpsc, watch},
};

use crate::{api, engine::Engine, life, options::Options};

/// How long a connection may be silent before its next request.
const HEAD: Duration = Duration::from_secs(60);
/// How large the head of a request may be.
const MAX_HEAD: usize = 64 << 10;
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
        let listener = listen(&engine.options)?;
        tokio::spawn(life::restart_all(Arc::clone(&engine), ended));
        remarks.extend(life::adopt_all(&engine).await?);
        ready(&remarks);
        let (stop, stopped) = watch::channel(());
        let connections = Arc::new(Semaphore::new(engine.options.max_connections));
        // The loop below holds one permit for the next client.
        let all = engine.options.max_connections.saturating_sub(1);
        tokio::spawn(stay_small(Arc::clone(&connections), all));
        let mut shutdown = pin!(shutdown);
        loop {
            // Those who come when there are too many wait until one goes.
            let next = async {
                let permit = Arc::clone(&connections).acquire_owned().await;
                (permit, listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                () = &mut shutdown => break,
                next = next => next,
            };
            let Ok((stream, _)) = accepted else {
                // Out of descriptors: those that are open end some time.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let (engine, stopped) = (Arc::clone(&engine), stopped.clone());
            tokio::spawn(async move {
                connection(engine, stream, stopped).await;
                drop(permit);
            });
        }
        let _ = fs::remove_file(&engine.options.socket);
        engine.watch.close();
        drop(stop);
        let all = u32::try_from(engine.options.max_connections).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(GRACE, connections.acquire_many(all)).await;
        Ok(())
    });
    runtime.shutdown_background();
    served
}

/// How long the daemon must have had nothing to do before it gives back its pages.
const QUIET: Duration = Duration::from_secs(2);

/// While no client is connected, gives back the pages of the program that nobody uses: the kernel
/// reads them again from the file.
async fn stay_small(connections: Arc<Semaphore>, all: usize) {
    let mut is_done = false;
    loop {
        tokio::time::sleep(QUIET).await;
        let is_quiet = connections.available_permits() >= all;
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

fn listen(options: &Options) -> io::Result<UnixListener> {
    let path = &options.socket;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::other(format!(
            "somebody listens at {} already: end it, or use -H with another socket",
            path.display()
        )));
    }
    let is_socket = fs::symlink_metadata(path)
        .is_ok_and(|found| std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()));
    if is_socket {
        fs::remove_file(path)?; // of a daemon that was killed
    }
    // Nobody else can connect before the mode is set.
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(path);
    rustix::process::umask(before);
    let listener = bound.map_err(|error| {
        io::Error::new(error.kind(), format!("listen at {}: {error}", path.display()))
    })?;
    if let Some(group) = options.group {
        std::os::unix::fs::chown(path, None, Some(group))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    }
    Ok(listener)
}

/// Answers the requests of a connection, until it or the daemon ends.
async fn connection(engine: Arc<Engine>, stream: UnixStream, mut stopped: watch::Receiver<()>) {
    let number = engine.watch.connection();
    let service = service_fn(|mut request: Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(number);
        let engine = Arc::clone(&engine);
        async move { Ok::<_, Infallible>(api::answer(&engine, request.map(Body::new)).await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(MAX_HEAD);
    // A client that has no more input for an attached container closes its half.
    builder.half_close(true);
    let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
