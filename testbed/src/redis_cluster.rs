//! A Redis Cluster of masters.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use url::Url;

use crate::redis::{Redis, RedisOptions};

/// Keys are spread over so many slots, whatever the number of nodes.
const SLOTS: usize = 16_384;
/// Nodes hear of each other by gossip, about once a second.
const MEET_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// Masters that share all slots; ends with the value.
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts `nodes` masters and waits until every one of them calls the cluster whole. `options`
    /// holds for each.
    ///
    /// # Errors
    /// Where one does not start, or they do not agree within a minute.
    pub fn start(nodes: usize, options: &RedisOptions) -> io::Result<Self> {
        let options = RedisOptions { cluster: true, ..options.clone() };
        let nodes = (0..nodes).map(|_| Redis::start(options.clone())).collect::<io::Result<Vec<_>>>()?;
        let cluster = RedisCluster { nodes };
        for (nth, node) in cluster.nodes.iter().enumerate() {
            let first = nth * SLOTS / cluster.nodes.len();
            let last = (nth + 1) * SLOTS / cluster.nodes.len() - 1;
            node.ask(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()])?;
            let (port, bus_port) = node.ports();
            cluster.nodes[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &port.to_string(), &bus_port.to_string()])?;
        }
        cluster.wait_until_whole()?;
        Ok(cluster)
    }

    /// Where its nodes listen.
    pub fn urls(&self) -> Vec<Url> {
        self.nodes.iter().map(Redis::url).collect()
    }

    /// Its nodes: each holds about the same number of slots, in order.
    pub fn nodes(&mut self) -> &mut [Redis] {
        &mut self.nodes
    }

    fn wait_until_whole(&self) -> io::Result<()> {
        let deadline = Instant::now() + MEET_TIMEOUT;
        let nodes = format!("cluster_known_nodes:{}\r", self.nodes.len());
        for node in &self.nodes {
            loop {
                let said = node.ask(&["CLUSTER", "INFO"])?;
                if said.contains("cluster_state:ok") && said.contains(&nodes) {
                    break;
                }
                if Instant::now() > deadline {
                    return Err(io::Error::other(format!("no cluster after {MEET_TIMEOUT:?}: {said}")));
                }
                thread::sleep(POLL);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_a_node_that_the_others_name() {
        let mut cluster = RedisCluster::start(3, &RedisOptions::default()).unwrap();
        let nodes = cluster.nodes();
        // Slot 12182: the specification's own example of a key.
        assert_eq!(nodes[0].ask(&["CLUSTER", "KEYSLOT", "foo"]).unwrap(), "12182");
        nodes[2].ask(&["SET", "foo", "bar"]).unwrap();
        let moved = nodes[0].ask(&["GET", "foo"]).unwrap_err().to_string();
        let (port, _) = nodes[2].ports();
        assert!(moved.contains(&format!("MOVED 12182 127.0.0.1:{port}")), "{moved}");
    }
}
