//! A number of slots, handed out fairly: whoever has the fewest comes first, so that one client's hundred panels do not
//! keep another's single one waiting.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Why there is no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

pub(super) struct FairQueue {
    slots: usize,
    waiting_max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    taken: usize,
    waiting: usize,
    /// Grows with every waiter: who came first has the lower number.
    turn: u64,
    clients: BTreeMap<String, ClientState>,
}

impl State {
    /// Of the client with most waiters, who has at least two more than this one, the newest loses its place.
    fn make_room_for(&mut self, client: &str) -> bool {
        let own = self.clients.get(client).map_or(0, |own| own.waiters.len());
        let most = self.clients.values_mut().max_by_key(|state| state.waiters.len());
        let Some(most) = most.filter(|most| most.waiters.len() > own + 1) else { return false };
        let gone = most.waiters.pop_back().is_some();
        self.waiting -= usize::from(gone);
        gone
    }
}

#[derive(Default)]
struct ClientState {
    taken: usize,
    waiters: VecDeque<(u64, oneshot::Sender<Slot>)>,
}

/// The right to run; given back when dropped.
pub(super) struct Slot {
    queue: Arc<FairQueue>,
    client: String,
    /// False once the slot was given on by other means.
    held: bool,
}

impl FairQueue {
    pub(super) fn new(slots: usize, waiting_max: usize) -> Arc<FairQueue> {
        Arc::new(FairQueue { slots: slots.max(1), waiting_max, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot now, or the place where it will arrive; the place ends without one if another client needs it more.
    pub(super) fn take(self: &Arc<Self>, client: &str) -> Result<Result<Slot, oneshot::Receiver<Slot>>, Full> {
        let mut state = self.lock();
        if state.taken < self.slots && state.waiting == 0 {
            state.taken += 1;
            state.clients.entry(client.to_owned()).or_default().taken += 1;
            return Ok(Ok(self.slot(client.to_owned())));
        }
        if state.waiting >= self.waiting_max && !state.make_room_for(client) {
            return Err(Full);
        }
        let (to, from) = oneshot::channel();
        let turn = state.turn;
        state.turn += 1;
        state.waiting += 1;
        state.clients.entry(client.to_owned()).or_default().waiters.push_back((turn, to));
        // Those who stopped waiting may be all that stands before this one.
        self.hand_out(&mut state);
        Ok(Err(from))
    }

    fn slot(self: &Arc<Self>, client: String) -> Slot {
        Slot { queue: Arc::clone(self), client, held: true }
    }

    fn give_back(self: &Arc<Self>, client: &str) {
        let mut state = self.lock();
        state.taken -= 1;
        if let Some(own) = state.clients.get_mut(client) {
            own.taken -= 1;
            if own.taken == 0 && own.waiters.is_empty() {
                state.clients.remove(client);
            }
        }
        self.hand_out(&mut state);
    }

    fn hand_out(self: &Arc<Self>, state: &mut State) {
        while state.taken < self.slots && state.waiting > 0 {
            let next = state
                .clients
                .iter()
                .filter_map(|(name, own)| own.waiters.front().map(|(turn, _)| (own.taken, *turn, name)))
                .min()
                .map(|(_, _, name)| name.clone());
            let Some(name) = next else { return };
            let Some(own) = state.clients.get_mut(&name) else { return };
            let Some((_, to)) = own.waiters.pop_front() else { return };
            state.waiting -= 1;
            match to.send(self.slot(name.clone())) {
                Ok(()) => {
                    own.taken += 1;
                    state.taken += 1;
                }
                // Gone while it waited. The slot was not counted yet.
                Err(mut slot) => {
                    slot.held = false;
                    if own.taken == 0 && own.waiters.is_empty() {
                        state.clients.remove(&name);
                    }
                }
            }
        }
    }

    /// Slots taken, requests waiting (some of them may have gone).
    pub(super) fn figures(&self) -> (usize, usize) {
        let state = self.lock();
        (state.taken, state.waiting)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.held {
            self.queue.give_back(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_fewest_comes_first() {
        let queue = FairQueue::new(2, 10);
        let a1 = queue.take("a").unwrap().ok().unwrap();
        let a2 = queue.take("a").unwrap().ok().unwrap();
        let mut waiting: Vec<_> = ["a", "a", "b", "a", "b"]
            .iter()
            .map(|client| (*client, queue.take(client).unwrap().err().unwrap()))
            .collect();
        let mut served = Vec::new();
        let mut held = vec![a1, a2];
        while !waiting.is_empty() {
            drop(held.remove(0));
            let at = waiting.iter_mut().position(|(_, from)| match from.try_recv() {
                Ok(slot) => {
                    held.push(slot);
                    true
                }
                Err(_) => false,
            });
            served.push(waiting.remove(at.unwrap()).0);
        }
        // b came later, and has none: it is served before the rest of a.
        assert_eq!(served, ["b", "a", "b", "a", "a"]);
        drop(held);
        assert_eq!(queue.figures(), (0, 0));
        assert!(queue.lock().clients.is_empty());
    }

    #[test]
    fn a_client_that_fills_the_queue_does_not_keep_others_out() {
        let queue = FairQueue::new(1, 3);
        let running = queue.take("b").unwrap().ok().unwrap();
        let mut of_b: Vec<_> = (0..3).map(|_| queue.take("b").unwrap().err().unwrap()).collect();
        assert!(queue.take("b").is_err(), "its own queue is full");
        let mut first = queue.take("a").unwrap().err().unwrap();
        assert!(of_b[2].try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
        assert!(of_b[1].try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty));
        // Two of b and one of a wait: now they are equals.
        assert!(queue.take("a").is_err());
        drop(running);
        // Who came first is first among those who hold nothing.
        drop(of_b[0].try_recv().unwrap());
        drop(of_b);
        assert!(first.try_recv().is_ok());
        assert_eq!(queue.figures(), (0, 0));
    }

    #[test]
    fn who_is_gone_loses_the_place_and_no_slot_is_lost() {
        let queue = FairQueue::new(1, 2);
        let first = queue.take("a").unwrap().ok().unwrap();
        let gone = queue.take("b").unwrap().err().unwrap();
        let mut stays = queue.take("c").unwrap().err().unwrap();
        assert!(queue.take("d").is_err(), "two may wait");
        drop(gone);
        drop(first);
        let slot = stays.try_recv().unwrap();
        // A slot that arrived where nobody looks any more comes back by itself.
        let late = queue.take("b").unwrap().err().unwrap();
        drop(slot);
        assert_eq!(queue.figures(), (1, 0));
        drop(late);
        assert_eq!(queue.figures(), (0, 0));
        assert!(queue.take("d").unwrap().is_ok());
    }
}
