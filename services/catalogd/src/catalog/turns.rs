//! Writers of one name, one after the other.
//!
//! It is a queue, not a guard of data: what readers see is never behind it, and writers of other
//! processes are told apart by the conditional put alone. It spares local writers the lost races.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Error;
use crate::name::DatasetName;

/// Names whose writers have gone are forgotten when there are more than this.
const FORGET_ABOVE: usize = 1_024;

pub(crate) struct Turns {
    queues: Mutex<HashMap<DatasetName, Weak<Semaphore>>>,
    waiting_max: usize,
    timeout: Duration,
}

impl Turns {
    pub(crate) fn new(waiting_max: usize, timeout: Duration) -> Self {
        Turns { queues: Mutex::default(), waiting_max, timeout }
    }

    /// Waits until no other writer of `name` is at work.
    ///
    /// # Errors
    /// 503 where too many wait, or for too long.
    pub(crate) async fn take(&self, name: &DatasetName) -> Result<OwnedSemaphorePermit, Error> {
        let queue = self.queue(name);
        // Each that waits or works holds one.
        if Arc::strong_count(&queue) > self.waiting_max + 1 {
            return Err(Error::Crowded { what: "writers of this dataset", config_key: "writers_waiting_max" });
        }
        match tokio::time::timeout(self.timeout, queue.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Error::Contended { name: name.clone() }),
        }
    }

    fn queue(&self, name: &DatasetName) -> Arc<Semaphore> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get(name).and_then(Weak::upgrade) {
            return queue;
        }
        if queues.len() > FORGET_ABOVE {
            queues.retain(|_, queue| queue.strong_count() > 0);
        }
        let queue = Arc::new(Semaphore::new(1));
        queues.insert(name.clone(), Arc::downgrade(&queue));
        queue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_writer_a_name_and_a_bounded_queue() {
        let turns = Turns::new(1, Duration::from_millis(20));
        let name = DatasetName::parse("a").unwrap();
        let at_work = turns.take(&name).await.unwrap();
        let _other_name = turns.take(&DatasetName::parse("b").unwrap()).await.unwrap();
        let (second, third) = tokio::join!(turns.take(&name), turns.take(&name));
        assert!(matches!(second, Err(Error::Contended { .. })), "waited in vain");
        assert!(matches!(third, Err(Error::Crowded { .. })), "found the queue full");
        drop(at_work);
        let _next = turns.take(&name).await.unwrap();
    }
}
