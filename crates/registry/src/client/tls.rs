//! TLS: whose certificates are trusted, and whether a server speaks it at all.

use std::{
    io::{self, Read as _},
    net::{TcpStream, ToSocketAddrs as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use rustls::{
    CertificateError, ClientConfig, ClientConnection, RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::{Failure, url};
use crate::text;

/// A server that waits for a line of HTTP says nothing; one on this machine would have answered.
const ANSWER: Duration = Duration::from_secs(3);

/// The first byte of TLS records (RFC 8446, 5.1).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

/// Trusts the authorities of the system, and those in the file `cacert`.
pub(super) fn config(cacert: Option<&Path>) -> Result<TlsConfig, Failure> {
    // What the system has and cannot be read is missed when it is needed.
    let mut roots = rustls_native_certs::load_native_certs().certs;
    if let Some(path) = cacert {
        roots.extend(read(path)?);
    }
    let roots = roots.iter().map(|root| Certificate::from_der(root.as_ref()).to_owned());
    let config = TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots.collect())))
        .unversioned_rustls_crypto_provider(provider());
    Ok(config.build())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let error = |why: String| Failure::CertificateFile { path: path.display().to_string(), why };
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|source| error(source.to_string()))?;
    match certificates.is_empty() {
        true => Err(error("it contains no certificate in PEM form".into())),
        false => Ok(certificates),
    }
}

/// Whether the server at `host` and `port` answers to TLS. It is sent the beginning of a handshake
/// and nothing that it must not know.
pub(super) fn answers(host: &str, port: u16, connect: Duration) -> io::Result<bool> {
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let mut stream = open(&bare, port, connect)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from(bare).map_err(io::Error::other)?;
    let mut handshake = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let mut first = [0];
    let answered = handshake.write_tls(&mut stream).and_then(|_| stream.read_exact(&mut first));
    Ok(answered.is_ok() && matches!(first[0], ALERT | HANDSHAKE))
}

fn open(host: &str, port: u16, timeout: Duration) -> io::Result<TcpStream> {
    let mut failed = io::Error::other("host not found");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// What a failed handshake means, and the way out.
pub(super) fn failure(host: &str, error: &rustls::Error) -> Failure {
    let certificate = |why: String| Failure::Certificate { host: host.into(), why };
    match error {
        rustls::Error::InvalidMessage(_) => Failure::NotTls { host: host.into() },
        rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            presented,
            ..
        }) => {
            let names = presented.iter().map(|name| name_of(name)).collect::<Vec<_>>();
            let names = match names.is_empty() {
                true => "nobody that it names".into(),
                false => names.join(", "),
            };
            certificate(format!(
                "it is the certificate of {}\nuse that name",
                text::clean(&names, 300)
            ))
        }
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            let (name, _) = url::split_port(host);
            certificate(format!(
                "nobody that this system trusts has issued it\nif you trust {name}, give the certificate of its authority with `--cacert FILE`"
            ))
        }
        rustls::Error::InvalidCertificate(why) => certificate(text::clean(&why.to_string(), 300)),
        other => Failure::protocol(host, text::clean(&other.to_string(), 300)),
    }
}

/// `DnsName("r.example")` as `r.example`.
fn name_of(presented: &str) -> &str {
    let inner = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(presented).trim_matches('"')
}
