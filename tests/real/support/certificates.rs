//! A certificate authority made for one test and known to nobody else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{run, tool};

const CONFIGURATION: &str = "\
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1,DNS:localhost
";

/// The files of a server's certificate.
#[derive(Debug)]
pub(crate) struct Certificates {
    /// What a client has to trust.
    pub(crate) authority: PathBuf,
    /// What the server shows.
    pub(crate) server: PathBuf,
    /// What the server keeps for itself.
    pub(crate) key: PathBuf,
}

impl Certificates {
    /// Makes an authority and a certificate for loopback in the directory.
    pub(crate) fn make(directory: &Path) -> Self {
        let at = |name: &str| directory.join(name);
        fs::write(at("openssl.cnf"), CONFIGURATION).expect("the configuration is written");
        run(request(directory)
            .args([
                "-x509",
                "-days",
                "2",
                "-subj",
                "/CN=probe tests",
                "-extensions",
                "authority",
            ])
            .args(["-keyout", "authority.key", "-out", "authority.pem"]));
        run(request(directory).args([
            "-subj",
            "/CN=localhost",
            "-keyout",
            "server.key",
            "-out",
            "server.csr",
        ]));
        run(tool("openssl")
            .current_dir(directory)
            .args([
                "x509",
                "-req",
                "-in",
                "server.csr",
                "-out",
                "server.pem",
                "-days",
                "2",
            ])
            .args([
                "-CA",
                "authority.pem",
                "-CAkey",
                "authority.key",
                "-CAcreateserial",
            ])
            .args(["-extfile", "openssl.cnf", "-extensions", "server"]));
        Self {
            authority: at("authority.pem"),
            server: at("server.pem"),
            key: at("server.key"),
        }
    }
}

/// `openssl req` for a fresh key on an elliptic curve.
fn request(directory: &Path) -> Command {
    let mut command = tool("openssl");
    command
        .current_dir(directory)
        .args(["req", "-config", "openssl.cnf", "-nodes", "-newkey", "ec"])
        .args(["-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    command
}
