//! The demo: a registry inside this process, images pushed to it over HTTP, two of them broken as
//! real ones were, and the sweep that `probe --once` runs.
//!
//! It is a test, too: it fails unless the sweep finds the two, and nothing else.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "telling what it does is what a demo is for"
)]

use std::error::Error;
use std::io::IsTerminal as _;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use registry_double::{DescriptorCache, Double, media_type, sha256};
use registry_probe::registry::client::{Config, Endpoint, HttpRegistry};
use registry_probe::render;
use registry_probe::report::{Record, Sweep};
use registry_probe::sweep::{Policy, Scope, Source, sweep};
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const CONFIRM_AFTER: Duration = Duration::from_secs(1);
const PLATFORMS: [&str; 2] = ["amd64", "arm64"];
const LAYER_SIZE: usize = 64 * 1024;

#[tokio::main]
async fn main() -> ExitCode {
    match demo().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nThe demo failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn demo() -> Result<()> {
    let double = Double::start().await;
    step(
        1,
        &format!(
            "A registry starts inside this process, on {}.",
            double.address()
        ),
    );

    step(
        2,
        "Images for two platforms are pushed to it over the Distribution API.",
    );
    let pusher = Pusher::new(double.url())?;
    let api = pusher.image("team/api", &["1.4.0", "latest"]).await?;
    let web = pusher.image("team/web", &["2.0.1"]).await?;
    pusher.image("tools/build", &["7", "7.2"]).await?;

    step(3, "It breaks in two places, as real registries did.");
    let planted = [
        orphan_a_child(&double, &pusher, &api).await?,
        empty_a_layer(&double, &pusher, &web).await?,
    ];

    step(
        4,
        "The probe sweeps it, waits a second, and looks again at what seems broken.",
    );
    println!("   This is the report of `probe --once --confirm-after 1s REGISTRY`:\n");
    let sweep = sweep_once(double.address()).await?;
    print!(
        "{}",
        render::text::render(
            &[registry_probe::report::Report::from(sweep.clone())],
            render::text::View {
                color: uses_color(),
                details: false,
            }
        )
    );

    check(&sweep, &planted)?;
    println!("\nThese two were planted, and nothing else was. For a registry of your own:\n");
    println!("    cargo run --release -- --once REGISTRY      (such as registry.example:5000)");
    Ok(())
}

fn step(number: usize, what: &str) {
    println!("{}{number}. {what}", if number == 1 { "" } else { "\n" });
}

/// What a clean-up does that removes revisions by tag and does not know indexes.
async fn orphan_a_child(double: &Double, pusher: &Pusher, image: &Pushed) -> Result<Planted> {
    let child = &image.children[1];
    println!(
        "   A clean-up takes the link to the arm64 child of {}:",
        image.repository
    );
    double.remove_manifest_link(image.repository, child);
    pusher
        .show(
            Method::GET,
            "the index",
            &image.path("manifests", &image.tags[0]),
        )
        .await?;
    pusher
        .show(Method::GET, "the child", &image.path("manifests", child))
        .await?;
    Ok(image.planted("child/not_found", child))
}

/// What a full disk leaves behind, and a cache of descriptors hides.
async fn empty_a_layer(double: &Double, pusher: &Pusher, image: &Pushed) -> Result<Planted> {
    let layer = &image.layers[0];
    println!(
        "   A full disk empties a layer of {}, and a warm cache hides it:",
        image.repository
    );
    double.quirks(|quirks| quirks.descriptor_cache = DescriptorCache::Warm);
    double.empty_bytes(layer);
    pusher
        .show(Method::HEAD, "the layer", &image.path("blobs", layer))
        .await?;
    pusher
        .show(Method::GET, "the layer", &image.path("blobs", layer))
        .await?;
    Ok(image.planted("layer/short_read", layer))
}

/// What `probe --once REGISTRY` does.
async fn sweep_once(address: &str) -> Result<Sweep> {
    let concurrency = NonZeroUsize::MIN.saturating_add(7);
    let endpoint = Endpoint::parse(address, false)?;
    let policy = Policy {
        concurrency,
        confirm_after: CONFIRM_AFTER,
        ..Policy::new(endpoint.name(), Scope::new(Source::Catalog))
    };
    let registry = HttpRegistry::new(Config {
        concurrency,
        ..Config::new(endpoint)
    })?;
    Ok(sweep(
        &registry,
        &policy,
        &Record::new(policy.registry.clone()),
        &CancellationToken::new(),
    )
    .await)
}

fn uses_color() -> bool {
    let is_off = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !is_off
}

/// A finding in short: where, what, which object, and the tags that it breaks.
type Planted = (String, String, String, Vec<String>);

fn check(sweep: &Sweep, planted: &[Planted]) -> Result<()> {
    let found: Vec<Planted> = sweep
        .findings
        .iter()
        .map(|finding| {
            (
                finding.repository.to_string(),
                format!("{}/{}", finding.kind, finding.defect.reason),
                finding
                    .digest
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                finding.tags.iter().map(ToString::to_string).collect(),
            )
        })
        .collect();
    if found != planted {
        return Err(format!("planted were {planted:#?}\nfound were {found:#?}").into());
    }
    if !sweep.is_complete() {
        return Err("the sweep did not reach everything".into());
    }
    Ok(())
}

/// An image as it was pushed.
struct Pushed {
    repository: &'static str,
    tags: Vec<String>,
    /// The digests of its manifests, by platform.
    children: Vec<String>,
    /// The digests of their layers.
    layers: Vec<String>,
}

impl Pushed {
    fn path(&self, place: &str, reference: &str) -> String {
        format!("/v2/{}/{place}/{reference}", self.repository)
    }

    fn planted(&self, what: &str, digest: &str) -> Planted {
        (
            self.repository.to_owned(),
            what.to_owned(),
            digest.to_owned(),
            self.tags.clone(),
        )
    }
}

/// A client that pushes images as any other does.
struct Pusher {
    client: Client,
    url: String,
}

impl Pusher {
    fn new(url: String) -> Result<Self> {
        // Nothing is encrypted here, and yet the client wants to know who would do it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().build()?;
        Ok(Self { client, url })
    }

    /// Pushes an image for all [`PLATFORMS`], and says so.
    async fn image(&self, repository: &'static str, tags: &[&str]) -> Result<Pushed> {
        let mut pushed = Pushed {
            repository,
            tags: tags.iter().map(ToString::to_string).collect(),
            children: Vec::new(),
            layers: Vec::new(),
        };
        let mut children = Vec::new();
        for platform in PLATFORMS {
            let layer = self.blob(
                repository,
                media_type::OCI_LAYER,
                bytes(repository, platform),
            );
            let layer = layer.await?;
            let config = json!({
                "os": "linux", "architecture": platform, "config": {},
                "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
            });
            let config = config.to_string().into_bytes();
            let config = self
                .blob(repository, media_type::OCI_CONFIG, config)
                .await?;
            pushed
                .layers
                .extend(layer["digest"].as_str().map(str::to_owned));
            let manifest = json!({
                "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
                "config": config, "layers": [layer],
            });
            let digest = sha256(manifest.to_string());
            let mut child = self.manifest(repository, &digest, &manifest).await?;
            child["platform"] = json!({"os": "linux", "architecture": platform});
            children.push(child);
            pushed.children.push(digest);
        }
        let index = json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": children,
        });
        for tag in tags {
            self.manifest(repository, tag, &index).await?;
            println!("   {repository}:{tag}");
        }
        Ok(pushed)
    }

    /// Pushes a blob and returns its descriptor.
    async fn blob(&self, repository: &str, media_type: &str, bytes: Vec<u8>) -> Result<Value> {
        let uploads = format!("{}/v2/{repository}/blobs/uploads/", self.url);
        let begun = expect(self.client.post(uploads), 202).await?;
        let location = begun
            .headers()
            .get(LOCATION)
            .ok_or("an upload without a place")?;
        let mut upload = begun.url().join(location.to_str()?)?;
        let (digest, size) = (sha256(&bytes), bytes.len());
        upload.query_pairs_mut().append_pair("digest", &digest);
        expect(self.client.put(upload).body(bytes), 201).await?;
        Ok(json!({"mediaType": media_type, "digest": digest, "size": size}))
    }

    /// Pushes a manifest or index and returns its descriptor.
    async fn manifest(&self, repository: &str, reference: &str, document: &Value) -> Result<Value> {
        let media_type = document["mediaType"]
            .as_str()
            .ok_or("a manifest without a type")?;
        let bytes = document.to_string();
        let descriptor = json!({
            "mediaType": media_type, "digest": sha256(&bytes), "size": bytes.len(),
        });
        let url = format!("{}/v2/{repository}/manifests/{reference}", self.url);
        let put = self
            .client
            .put(url)
            .header(CONTENT_TYPE, media_type)
            .body(bytes);
        expect(put, 201).await?;
        Ok(descriptor)
    }

    /// Asks for something, and shows what a client gets.
    async fn show(&self, method: Method, what: &str, path: &str) -> Result<()> {
        let accept = [media_type::OCI_INDEX, media_type::OCI_MANIFEST].join(", ");
        let url = format!("{}{path}", self.url);
        let request = self.client.request(method.clone(), url);
        let mut response = request.header(ACCEPT, accept).send().await?;
        let status = response.status();
        let announced = response.headers().get(CONTENT_LENGTH).cloned();
        let announced = announced.as_ref().map_or(Ok("?"), HeaderValue::to_str)?;
        let mut received = 0;
        // A body that ends too early ends in an error.
        while let Ok(Some(piece)) = response.chunk().await {
            received += piece.len();
        }
        let body = match method {
            Method::HEAD => format!(", Content-Length: {announced}"),
            _ if !status.is_success() => String::new(),
            _ => format!(", {received} of {announced} bytes arrive"),
        };
        println!(
            "     {:<4} {what}: {}{body}",
            method.as_str(),
            status.as_u16()
        );
        Ok(())
    }
}

async fn expect(request: RequestBuilder, status: u16) -> Result<Response> {
    let response = request.send().await?;
    if response.status() == status {
        Ok(response)
    } else {
        Err(format!("{} answers {}", response.url().path(), response.status()).into())
    }
}

/// The same bytes each time, and other ones for every layer.
fn bytes(repository: &str, platform: &str) -> Vec<u8> {
    let name = format!("{repository} {platform}");
    let seed = name
        .bytes()
        .fold(0, |seed: u64, byte| seed.wrapping_mul(31) + u64::from(byte));
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..))
        .take(LAYER_SIZE)
        .collect()
}
