//! Explains one image (`probe explain`): which one, how, and the page that comes of it.

use tokio_util::sync::CancellationToken;

use super::args::{FailOn, PageArg};
use super::error::Error;
use super::exit::Exit;
use super::output::print_unless_ended;
use super::progress::Screen;
use super::run::client;
use super::settings::{Sources, explained};
use super::signals::Signals;
use crate::report::{Record, Report};
use crate::service::Target;
use crate::{render, sweep};

/// The image to explain.
pub(super) struct Explanation {
    target: Target,
    output: PageArg,
}

impl Explanation {
    pub(super) fn resolve(sources: &Sources) -> Result<Self, Error> {
        let (target, args) = explained(sources)?;
        let output = args.page.output;
        Ok(Self { target, output })
    }

    /// Looks at the image, and prints its page.
    pub(super) async fn run(self, color: bool, screen: &Screen) -> Result<Exit, Error> {
        let cancel = CancellationToken::new();
        let signals = Signals::listen(&cancel)?;
        let Target { http, policy, .. } = self.target;
        let registry = client(http)?;
        let known = Record::new(policy.registry.clone());
        let look = sweep::sweep(&registry, &policy, &known, &cancel);
        let mut sweep = Box::pin(screen.during(&policy.progress, look)).await;
        // The page is the image's.
        for warning in &sweep.warnings {
            tracing::warn!("{warning}");
        }
        let platforms = async {
            for image in &mut sweep.images {
                // It is for the reader only: what keeps it from us is no verdict on the image.
                if let Ok(Some(platform)) = sweep::platform(&registry, image).await {
                    image.root.platform = Some(platform.into());
                }
            }
        };
        tokio::select! {
            () = platforms => {}
            () = cancel.cancelled() => {}
        }
        let report = Report::from(sweep);
        let text = match self.output {
            PageArg::Text => render::explain::render(&report, color),
            PageArg::Json => render::json::render_images(&report),
        };
        let is_printed = print_unless_ended(text, &signals).await;
        let fail_on = [FailOn::Broken, FailOn::Unverified];
        let exit = signals.exit();
        Ok(exit.unwrap_or_else(|| Exit::of(&[&report], is_printed, &fail_on)))
    }
}
