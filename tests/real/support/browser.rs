//! A real browser without a window, steered through Debian's chromedriver by the WebDriver protocol.

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::{Client, block_on};
use super::process::{PATIENCE, Server, at_home, free_port, tool, wait_until};

/// The key under which the protocol names an element (W3C WebDriver, 12.2).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one tab, gone with its owner.
#[derive(Debug)]
pub(crate) struct Browser {
    base: String,
    session: String,
    http: reqwest::Client,
    _driver: Server,
    _home: TempDir,
}

impl Browser {
    /// Opens a window of this size in pixels.
    pub(crate) fn open(width: u32, height: u32) -> Self {
        let port = free_port();
        let base = format!("http://127.0.0.1:{port}");
        // Everything that either keeps is there, the profile of the browser, too.
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut command = tool("chromedriver");
        command.args([&format!("--port={port}"), "--silent"]);
        let driver = Server::spawn(at_home(&mut command, home.path()));
        let probe = Client::new(&base, None);
        wait_until("chromedriver answers", || probe.answers("/status"));
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .expect("a client");
        let mut browser = Self {
            base,
            session: String::new(),
            http,
            _driver: driver,
            _home: home,
        };
        let size = format!("--window-size={width},{height}");
        // Its sandbox refuses to run as root, which is what tests in a container run as.
        let arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", &size];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let opened = browser.call(Method::POST, "/session", Some(&wanted));
        let id = opened["sessionId"].as_str().expect("a session has an id");
        browser.session = format!("/session/{id}");
        browser
    }

    /// Loads a page.
    pub(crate) fn visit(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// The address of the page, with its fragment.
    pub(crate) fn url(&self) -> String {
        let path = format!("{}/url", self.session);
        let url = self.call(Method::GET, &path, None);
        url.as_str().expect("an address is text").to_owned()
    }

    /// Clicks the first element that a CSS selector finds, as a person does: it must be in sight.
    pub(crate) fn click(&self, selector: &str) {
        let found = self.post(
            "/element",
            &json!({ "using": "css selector", "value": selector }),
        );
        let id = found[ELEMENT].as_str().expect("an element has an id");
        self.post(&format!("/element/{id}/click"), &json!({}));
    }

    /// Goes back to the page before.
    pub(crate) fn back(&self) {
        self.post("/back", &json!({}));
    }

    /// What an expression of JavaScript comes to in the page. The page's policy does not bind the
    /// driver.
    pub(crate) fn ask(&self, expression: &str) -> Value {
        let script = format!("return ({expression});");
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The text that a person sees.
    pub(crate) fn text(&self) -> String {
        let text = self.ask("document.body.innerText");
        text.as_str().expect("text").to_owned()
    }

    /// What the browser had to complain of so far.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let entries = self.post("/se/log", &json!({ "type": "browser" }));
        let entries = entries.as_array().expect("a list").iter();
        entries
            .map(|entry| entry["message"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    fn post(&self, command: &str, body: &Value) -> Value {
        self.call(
            Method::POST,
            &format!("{}{command}", self.session),
            Some(body),
        )
    }

    fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let answer: String = block_on(async {
            let answer = request.send().await.expect("chromedriver answers");
            answer.text().await.expect("chromedriver answers with text")
        });
        let mut answer: Value = serde_json::from_str(&answer).expect("it answers with JSON");
        let value = answer["value"].take();
        assert!(value["error"].is_null(), "{path}: {value:#}");
        value
    }
}

impl Drop for Browser {
    /// The driver's end alone would leave the browser running.
    fn drop(&mut self) {
        let request = self.http.delete(format!("{}{}", self.base, self.session));
        // The timer of a request is set up when it is sent: that, too, needs the runtime.
        let _ = block_on(async { request.send().await });
    }
}
