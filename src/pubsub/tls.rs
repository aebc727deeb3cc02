//! Whom a client trusts: the authorities of a file, or the system's.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::url::BrokerUrl;
use crate::error::{Error, Result};

/// Where systems keep the certificates of the authorities they trust, in one file.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What TLS connections are made with.
pub(super) struct Trust {
    config: Arc<ClientConfig>,
}

impl Trust {
    /// In the authorities of `ca`, a file of PEM certificates; without one, in the system's.
    ///
    /// # Errors
    /// Usage, naming the file, when it cannot be read or has no certificate; failed when the system's are nowhere to be
    /// found.
    pub(super) fn new(ca: Option<&Path>) -> Result<Trust> {
        let path = match ca {
            Some(path) => path.to_owned(),
            None => SYSTEM.iter().map(PathBuf::from).find(|path| path.exists()).ok_or_else(|| {
                Error::failed("there are no certificates of trusted authorities on this system")
                    .remedy("Name the file of the one that vouches for the broker with --ca FILE.")
            })?,
        };
        let unusable = |what: &str| Error::usage(format!("--ca {}: {what}", path.display()));
        let found = CertificateDer::pem_file_iter(&path)
            .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>())
            .map_err(|cause| unusable("cannot be read; give a file of certificates in PEM form").because(cause))?;
        let mut roots = RootCertStore::empty();
        // A system's list may have some that are of no use here.
        let (usable, _) = roots.add_parsable_certificates(found);
        if usable == 0 {
            return Err(unusable("has no certificate; give a file of certificates in PEM form"));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|cause| Error::failed("preparing TLS").because(cause))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Trust { config: Arc::new(config) })
    }

    /// A connection that has not said anything yet.
    ///
    /// # Errors
    /// Usage when certificates cannot be for a host of such a name.
    pub(super) fn connection(&self, url: &BrokerUrl) -> Result<ClientConnection> {
        let name = ServerName::try_from(url.host.clone()).map_err(|cause| {
            Error::usage(format!("'{}' is no name a certificate could be for", url.host)).because(cause)
        })?;
        ClientConnection::new(Arc::clone(&self.config), name)
            .map_err(|cause| Error::failed("preparing TLS").because(cause))
    }
}
