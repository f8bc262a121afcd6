//! TLS of a server: its certificate and key, and the certificates that its clients must show.

use std::{fmt::Display, path::Path, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio_rustls::TlsAcceptor;

use super::serve_error::ServeError;

/// TLS with the certificate chain and the key of these files (PEM). With `clients`, a file of
/// certificate authorities, only those are let in who show a certificate of one of them.
///
/// # Errors
///
/// [`ServeError::Tls`] names the file that cannot be used.
pub fn acceptor(
    cert: &Path,
    key: &Path,
    clients: Option<&Path>,
) -> Result<TlsAcceptor, ServeError> {
    let chain = certificates(cert)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(cert, &error))?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(path) => builder.with_client_cert_verifier(verifier(path)?),
    };
    let config = builder.with_single_cert(chain, private).map_err(|error| failed(cert, &error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Lets in whom these authorities know.
fn verifier(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, ServeError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| failed(path, &error))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| failed(path, &error))
}

/// The certificates of a file, of which it has one at least.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ServeError> {
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(path, &error))?;
    match chain.is_empty() {
        true => Err(failed(path, &"there is no certificate in it")),
        false => Ok(chain),
    }
}

fn failed(path: &Path, why: &dyn Display) -> ServeError {
    ServeError::Tls { path: path.into(), why: why.to_string() }
}
