//! What a pod's description means: the variables and the words of a container, its user, and the ports that it names.

use serde_json::Value;

use crate::cluster::{Cluster, NODE};
use crate::image::Image;
use crate::volume::data;

/// What a container may say here. What else it says would be ignored, and so it fails.
const KNOWN: [&str; 15] = [
    "args",
    "command",
    "env",
    "envFrom",
    "image",
    "imagePullPolicy",
    "livenessProbe",
    "name",
    "ports",
    "readinessProbe",
    "resources",
    "securityContext",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "volumeMounts",
];

/// Fails for a container with something that this node does not do.
pub(crate) fn assert_known(container: &Value) {
    for key in container.as_object().expect("a container").keys() {
        assert!(
            KNOWN.contains(&key.as_str()),
            "this node knows no {key} of a container"
        );
    }
}

/// What a path of `fieldRef` leads to.
fn field(pod: &Value, path: &str) -> String {
    if path == "spec.nodeName" {
        return NODE.to_owned();
    }
    let (path, key) = match path.split_once("['") {
        Some((path, key)) => (path, Some(key.trim_end_matches("']"))),
        None => (path, None),
    };
    let parts = path.split('.').chain(key);
    let found = parts.fold(pod, |value, part| &value[part]);
    // A label or an annotation that is not there is an empty text.
    found.as_str().unwrap_or_default().to_owned()
}

/// Puts values in place of `$(NAME)`. `$$(NAME)` stands for `$(NAME)`, and a name that is not known stays as it is.
pub(crate) fn expand(text: &str, variables: &[(String, String)]) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        rest = after;
        if let Some(escaped) = after.strip_prefix('$') {
            expanded.push('$');
            rest = escaped;
            continue;
        }
        let name = after
            .strip_prefix('(')
            .and_then(|name| name.split_once(')'));
        // The last one of a name counts.
        let value = name.and_then(|(name, _)| variables.iter().rfind(|(known, _)| known == name));
        match (name, value) {
            (Some((_, after)), Some((_, value))) => {
                expanded.push_str(value);
                rest = after;
            }
            _ => expanded.push('$'),
        }
    }
    expanded.push_str(rest);
    expanded
}

/// The variables of a container, or why it cannot be made yet.
pub(crate) fn variables(
    cluster: &Cluster,
    pod: &Value,
    container: &Value,
    image: &Image,
) -> Result<Vec<(String, String)>, String> {
    let namespace = pod["metadata"]["namespace"].as_str().expect("a namespace");
    let kept = |kind: &str, reference: &Value| {
        let name = reference["name"].as_str().expect("a reference has a name");
        let found = cluster.find(namespace, &[kind, name]);
        let is_optional = reference["optional"] == true;
        match found {
            Some(object) => Ok(data(&object)),
            None if is_optional => Ok(Vec::new()),
            None => Err(format!("{kind} \"{name}\" not found")),
        }
    };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("a variable is text");
    let mut variables = image.variables.clone();
    for source in container["envFrom"].as_array().into_iter().flatten() {
        for (kind, key) in [("secret", "secretRef"), ("configmap", "configMapRef")] {
            if source[key].is_object() {
                let prefix = source["prefix"].as_str().unwrap_or_default();
                let found = kept(kind, &source[key])?;
                variables.extend(
                    found
                        .into_iter()
                        .map(|(name, value)| (format!("{prefix}{name}"), text(value))),
                );
            }
        }
    }
    for variable in container["env"].as_array().into_iter().flatten() {
        let name = variable["name"].as_str().expect("a variable has a name");
        let from = &variable["valueFrom"];
        if let Some(path) = from["fieldRef"]["fieldPath"].as_str() {
            variables.push((name.to_owned(), field(pod, path)));
            continue;
        }
        let references = [("secret", "secretKeyRef"), ("configmap", "configMapKeyRef")];
        if let Some((kind, key)) = references
            .into_iter()
            .find(|(_, key)| from[key].is_object())
        {
            let wanted = from[key]["key"].as_str().expect("a reference has a key");
            match kept(kind, &from[key])?
                .into_iter()
                .find(|(key, _)| key == wanted)
            {
                Some((_, value)) => variables.push((name.to_owned(), text(value))),
                None if from[key]["optional"] == true => {}
                None => return Err(format!("no key {wanted} for {name}")),
            }
            continue;
        }
        assert!(from.is_null(), "this node knows no {from}");
        let value = variable["value"].as_str().unwrap_or_default();
        variables.push((name.to_owned(), expand(value, &variables)));
    }
    Ok(variables)
}

/// What a container runs.
pub(crate) fn words(
    container: &Value,
    image: &Image,
    variables: &[(String, String)],
) -> Vec<String> {
    let list = |key: &str| {
        let words = container[key].as_array().into_iter().flatten();
        let words = words.map(|word| word.as_str().expect("words are text"));
        words
            .map(|word| expand(word, variables))
            .collect::<Vec<_>>()
    };
    let command = match list("command") {
        command if command.is_empty() => image.entry_point.clone(),
        command => command,
    };
    [command, list("args")].concat()
}

/// What the container's security context says, or else the pod's.
pub(crate) fn security<'a>(pod: &'a Value, container: &'a Value, key: &str) -> &'a Value {
    let own = &container["securityContext"][key];
    if own.is_null() {
        &pod["spec"]["securityContext"][key]
    } else {
        own
    }
}

/// User and group by number; none where the pod must not run as root and would.
pub(crate) fn user(pod: &Value, container: &Value, image: &Image) -> Result<(u64, u64), String> {
    let user = security(pod, container, "runAsUser")
        .as_u64()
        .unwrap_or(image.user);
    let group = security(pod, container, "runAsGroup").as_u64().unwrap_or(0);
    if security(pod, container, "runAsNonRoot") == true && user == 0 {
        return Err("container has runAsNonRoot and image will run as root".to_owned());
    }
    Ok((user, group))
}

/// The port that a probe asks, by its number or by its name.
pub(crate) fn port(container: &Value, port: &Value) -> u64 {
    let ports = container["ports"].as_array().into_iter().flatten();
    let named = ports.clone().find(|known| known["name"] == *port);
    let number = named.map_or(port, |known| &known["containerPort"]);
    number
        .as_u64()
        .unwrap_or_else(|| panic!("no port is called {port}"))
}

/// Whether the node has what it needs to pull the container's image.
pub(crate) fn may_pull(cluster: &Cluster, pod: &Value, image: &str) -> bool {
    let namespace = pod["metadata"]["namespace"].as_str().expect("a namespace");
    let host = image.split('/').next().unwrap_or_default();
    let secrets = pod["spec"]["imagePullSecrets"]
        .as_array()
        .into_iter()
        .flatten();
    secrets
        .filter_map(|secret| secret["name"].as_str())
        // One that is not there is passed over.
        .filter_map(|name| cluster.find(namespace, &["secret", name]))
        .flat_map(|secret| data(&secret))
        .filter(|(key, _)| key == ".dockerconfigjson")
        .filter_map(|(_, bytes)| serde_json::from_slice::<Value>(&bytes).ok())
        .any(|config| config["auths"][host].is_object())
}

#[test]
fn variables_are_put_into_words() {
    let known = [("A", "1"), ("B", "$(A)"), ("A", "2")];
    let known = known.map(|(name, value)| (name.to_owned(), value.to_owned()));
    for (text, expected) in [
        ("--shard=$(A)/4", "--shard=2/4"),
        ("$(B)$(A)", "$(A)2"),
        ("$$(A) $(C) $ $(A", "$(A) $(C) $ $(A"),
        ("5$", "5$"),
    ] {
        assert_eq!(expand(text, &known), expected, "{text}");
    }
}
