//! What `deploy/` holds, against a real API server with its controllers: is it taken, and do its pods run? `make test-cluster`.
//!
//! `KUBEBUILDER_ASSETS` names the folder of etcd, kube-apiserver, kube-controller-manager and kubectl; CONTRIBUTING.md says
//! where they come from. What is missing fails, and nothing is skipped. Needs root, for what stands for a kubelet.

mod admission;
mod cluster;
mod container;
mod deployed;
mod helpers;
mod image;
mod jobs;
mod node;
mod pod;
mod releases;
mod service;
mod shards;
#[path = "../real/support/mod.rs"]
#[expect(dead_code, reason = "the tests on real servers use the rest of it")]
mod support;
mod volume;
