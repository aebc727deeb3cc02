//! A headless Chromium, driven through chromedriver (WebDriver, W3C; with Chromium's log and DevTools commands).

#![allow(unreachable_pub, reason = "each test file has it as a module of its own")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// A browser with one window; ends when it is dropped.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: tempfile::TempDir,
}

/// The WebDriver key of an element's reference.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

impl Browser {
    /// Starts it with a new profile and no way to the network.
    pub fn start() -> Browser {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let mut lines = BufReader::new(driver.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let port = lines
            .find_map(|line| line.split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok());
        // What else it says is read, lest it wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Browser {
            driver,
            port: port.expect("chromedriver tells its port"),
            session: String::new(),
            _profile: profile,
        };
        let profile = format!("--user-data-dir={}", browser._profile.path().display());
        let args = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            &profile,
        ];
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": args, "binary": binary()},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let session = browser.request("POST", "/session", &capabilities);
        browser.session = session["sessionId"].as_str().expect("a session").to_owned();
        // It begins with a page of its own, which asks for much.
        browser.command("POST", "/url", &json!({"url": "about:blank"}));
        browser.requests();
        browser
    }

    /// Opens a file and waits until it is loaded.
    pub fn open(&self, file: &Path) {
        self.command("POST", "/url", &json!({"url": format!("file://{}", file.display())}));
    }

    /// What a script returns.
    pub fn run(&self, script: &str) -> Value {
        self.command("POST", "/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Role and name that assistive technology is told, of all elements of a CSS selector.
    pub fn accessible(&self, selector: &str) -> Vec<(String, String)> {
        let found = self.command("POST", "/elements", &json!({"using": "css selector", "value": selector}));
        let ids = found.as_array().expect("a list").iter().map(|element| element[ELEMENT].as_str().unwrap().to_owned());
        let told = |id: String| {
            let of = |what| self.command("GET", &format!("/element/{id}/{what}"), &Value::Null);
            let text = |value: Value| value.as_str().unwrap().to_owned();
            (text(of("computedrole")), text(of("computedlabel")))
        };
        ids.map(told).collect()
    }

    /// Presses a key.
    pub fn press(&self, key: char) {
        let actions = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        self.command("POST", "/actions", &json!({"actions": [{"type": "key", "id": "keys", "actions": actions}]}));
    }

    /// Makes the window this large inside.
    pub fn resize(&self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Shows pages as on this medium, to people who prefer this colour scheme.
    pub fn emulate(&self, medium: &str, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.devtools("Emulation.setEmulatedMedia", &json!({"media": medium, "features": features}));
    }

    /// What the console said since it was asked before.
    pub fn console(&self) -> Vec<String> {
        let entries = self.command("POST", "/se/log", &json!({"type": "browser"}));
        entries.as_array().expect("a list").iter().map(Value::to_string).collect()
    }

    /// The addresses that were asked for since it was asked before.
    pub fn requests(&self) -> Vec<String> {
        let entries = self.command("POST", "/se/log", &json!({"type": "performance"}));
        let url = |entry: &Value| {
            let event: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let message = &event["message"];
            let asked = message["method"] == "Network.requestWillBeSent";
            asked.then(|| message["params"]["request"]["url"].as_str().unwrap_or("?").to_owned())
        };
        entries.as_array().expect("a list").iter().filter_map(url).collect()
    }

    fn devtools(&self, command: &str, params: &Value) {
        self.command("POST", "/goog/cdp/execute", &json!({"cmd": command, "params": params}));
    }

    fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        self.request(method, &format!("/session/{}{path}", self.session), body)
    }

    /// The `value` of the answer.
    fn request(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("chromedriver listens");
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.port,
            body.len()
        )
        .expect("chromedriver reads");
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("an answer");
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut answer = vec![0; length];
        reader.read_exact(&mut answer).expect("the whole answer");
        let answer: Value = serde_json::from_slice(&answer).expect("an answer in JSON");
        let value = answer["value"].clone();
        assert!(value.get("error").is_none(), "{method} {path}: {value}");
        value
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // In a test that fails, its message is the one to be seen.
        if !self.session.is_empty() && !std::thread::panicking() {
            self.command("DELETE", "", &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Where Chromium is; chromedriver alone would look for Chrome as well.
fn binary() -> String {
    let found = Command::new("sh").args(["-c", "command -v chromium"]).output().expect("sh starts");
    String::from_utf8(found.stdout).expect("a path").trim().to_owned()
}
