//! A connection over TLS to a host that proves who it is: what log receivers are told by (RFC 5425).
//! Webhooks and servers have their own, with HTTP in it (`stockade-wire`).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Why nothing can be reached over TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificates in a file.
    #[error("cannot read certificates in `{path}`", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// There are none.
    #[error("there is no certificate that is trusted")]
    Nobody,
    /// The rest.
    #[error("TLS cannot be used")]
    Rustls(#[from] rustls::Error),
}

/// Who is trusted.
#[derive(Clone)]
pub struct Tls(TlsConnector);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// Trusts the authorities in a file and no others; without one, those of this machine, or of
    /// `$SSL_CERT_FILE`.
    ///
    /// # Errors
    /// When there are none.
    pub fn new(authorities: Option<&Path>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        match authorities {
            Some(path) => {
                let wrong = |source| TlsError::File { path: path.to_owned(), source };
                for it in CertificateDer::pem_file_iter(path).map_err(wrong)? {
                    roots.add(it.map_err(wrong)?)?;
                }
            }
            None => {
                // One that cannot be read is not trusted, and the others are.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            return Err(TlsError::Nobody);
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Connects to a host and a port, and makes sure that it is that host.
    ///
    /// # Errors
    /// When it is not, or is not there.
    pub async fn connect(&self, place: &str) -> io::Result<TlsStream<TcpStream>> {
        let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).map_err(io::Error::other)?;
        let tcp = TcpStream::connect(place).await?;
        self.0.connect(name, tcp).await
    }
}
