//! Where Alertmanager's notifications arrive: a receiver that keeps them.

use std::sync::{Arc, Mutex};

use registry_double::{Background, Double, Reply, Request, in_background, on};
use serde_json::{Value, json};

/// A running receiver.
#[derive(Debug)]
pub(crate) struct Webhook {
    double: Background<Double>,
    received: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Webhook {
    pub(crate) fn start() -> Self {
        let received = Arc::<Mutex<Vec<(String, Value)>>>::default();
        let double = in_background(Double::start());
        let kept = Arc::clone(&received);
        let keep = move |_: &_, request: &Request| {
            let notification = serde_json::from_slice(&request.body).expect("it is JSON");
            let mut kept = kept.lock().expect("nobody panics with it");
            kept.push((request.path.clone(), notification));
            Reply::json(200, &json!({}))
        };
        double.when(on::any()).answer(keep);
        Self { double, received }
    }

    /// Its address, without a path.
    pub(crate) fn url(&self) -> String {
        self.double.url()
    }

    /// What has arrived at a path (`/pages`), in its order.
    pub(crate) fn received(&self, path: &str) -> Vec<Value> {
        let received = self.received.lock().expect("nobody panics with it");
        let at_path = received.iter().filter(|(at, _)| at == path);
        at_path
            .map(|(_, notification)| notification.clone())
            .collect()
    }

    /// The alerts of this name that have arrived at `/pages` in this state (`firing`, `resolved`).
    pub(crate) fn pages(&self, name: &str, state: &str) -> Vec<Value> {
        let alerts = self
            .received("/pages")
            .into_iter()
            .flat_map(|notification| {
                let alerts = notification["alerts"].as_array().expect("a list");
                alerts.clone()
            });
        let is_meant =
            |alert: &Value| alert["labels"]["alertname"] == name && alert["status"] == state;
        alerts.filter(is_meant).collect()
    }
}
