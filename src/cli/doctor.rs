//! Examines registries (`probe doctor`): which ones and how, and the page that comes of it.

use tokio_util::sync::CancellationToken;

use super::args::{DoctorArgs, PageArg};
use super::error::Error;
use super::exit::Exit;
use super::output::print_unless_ended;
use super::settings::{self, Sources, connection, parse_repositories, registries};
use super::signals::Signals;
use crate::doctor;
use crate::doctor::{Examination, Outlook};
use crate::oci::Repository;
use crate::registry::client::{Config, Endpoint};
use crate::report::Mode;
use crate::service::{InUsePlace, InUseSource};

/// The registries to examine.
pub(super) struct Examinations {
    registries: Vec<Config>,
    /// Where each of them would learn which images are in use.
    in_use: Vec<Option<InUseSource>>,
    /// The options of how to reach them, as they were typed.
    options: String,
    /// Where to take samples from.
    named: Vec<Repository>,
    output: PageArg,
}

impl Examinations {
    pub(super) fn resolve(sources: &Sources) -> Result<Self, Error> {
        let process = sources.resolve::<DoctorArgs>(None)?;
        let args = &process.args;
        let named = registries(sources, &args.registries, "probe doctor HOST[:PORT]")?;
        let mut in_use = Vec::new();
        let registries = named.iter().map(|(address, _)| {
            let name = Endpoint::parse(address, false)?.name().to_owned();
            let own = sources.resolve::<DoctorArgs>(Some(&name))?;
            let is_no_cache = matches!(own.args.mode, Some(Mode::Private | Mode::Mirror));
            let config = connection(sources, address, &own.args.connection);
            let config = config.map(|http| Config {
                spares_upstream: !is_no_cache,
                ..http
            });
            let source = settings::in_use(&own.args.in_use, sources.around);
            in_use.push(source.map_err(|error| own.locate(error))?);
            config.map_err(|error| own.locate(error))
        });
        let registries = registries.collect::<Result<_, _>>()?;
        // Patterns may come from an environment that is meant for sweeps.
        let named = parse_repositories(&args.repos);
        Ok(Self {
            options: process.typed(sources),
            registries,
            in_use,
            named: named.map_err(|error| process.locate(error))?,
            output: args.page.output,
        })
    }

    /// Examines them side by side, and prints one page for each.
    pub(super) async fn run(self, color: bool) -> Result<Exit, Error> {
        let cancel = CancellationToken::new();
        let signals = Signals::listen(&cancel)?;
        let registries = self.registries.into_iter().map(super::run::client);
        let registries = registries.collect::<Result<Vec<_>, _>>()?;
        let sources = registries.iter().zip(&self.in_use);
        let examinations = sources.map(|(registry, in_use)| async {
            let mut found = doctor::examine(registry, &self.named, &self.options).await;
            if let Some(source) = in_use.as_ref() {
                found.checks.push(match &source.place {
                    InUsePlace::Prometheus { api, matcher } => {
                        doctor::in_use(api, matcher.as_deref()).await
                    }
                    InUsePlace::File { .. } => doctor::in_use_of_file(source.read().await),
                });
            }
            found
        });
        let examined = Box::pin(futures::future::join_all(examinations));
        let examinations = tokio::select! {
            examinations = examined => examinations,
            // Half a page would be taken for a whole one.
            () = cancel.cancelled() => return Ok(signals.exit().unwrap_or(Exit::Terminated)),
        };
        let text = match self.output {
            PageArg::Text => doctor::render(&examinations, color),
            PageArg::Json => doctor::json(&examinations),
        };
        let is_told = print_unless_ended(text, &signals).await;
        Ok(signals
            .exit()
            .unwrap_or_else(|| exit(&examinations, is_told)))
    }
}

/// Success only if every one of them can be swept, and if that was told.
fn exit(examinations: &[Examination], is_told: bool) -> Exit {
    let is_ready = |examination: &Examination| examination.outlook == Outlook::Ready;
    if is_told && examinations.iter().all(is_ready) {
        Exit::Intact
    } else {
        Exit::Unverified
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Typed;
    use super::super::surroundings::Surroundings;
    use super::*;

    fn resolve(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Examinations, String> {
        let words = ["probe", "doctor"].iter().chain(arguments);
        let typed = Typed::parse(words.map(Into::into).collect()).map_err(|e| e.to_string())?;
        let around = Surroundings::with(environment);
        let sources = Sources::new(&typed, &around);
        let resolved = sources.and_then(|sources| Examinations::resolve(&sources));
        resolved.map_err(|error| error.to_string())
    }

    #[test]
    fn registries_by_argument_or_environment() {
        let given = resolve(&["a.example", "http://b.example"], &[]).expect("usable");
        let names = |examinations: &Examinations| -> Vec<String> {
            let registries = examinations.registries.iter();
            registries
                .map(|config| config.endpoint.name().to_owned())
                .collect()
        };
        assert_eq!(names(&given), ["a.example", "b.example"]);
        let old = [("REGISTRY_HOST", "c.example"), ("REGISTRY_SCHEME", "http")];
        let found = resolve(&[], &old).expect("usable");
        assert_eq!(names(&found), ["c.example"]);
        assert!(!found.registries[0].endpoint.is_https());
    }

    #[test]
    fn patterns_name_no_sample() {
        let examinations =
            resolve(&["r.example", "--repo", "team/*,team/app"], &[]).expect("usable");
        assert_eq!(examinations.named, ["team/app".parse().expect("a name")]);
    }

    #[test]
    fn what_cannot_be_used_says_what_to_do() {
        for (arguments, expected) in [
            (&[][..], "probe doctor HOST[:PORT]"),
            (&["ftp://x"], "neither http nor https"),
            (&["r.example", "--repo", "A"], "--repo: `A`"),
            (&["r.example", "--username", "u"], "--password-file"),
        ] {
            let error = resolve(arguments, &[]).err().unwrap_or_default();
            assert!(error.contains(expected), "{arguments:?}: {error}");
        }
    }
}
