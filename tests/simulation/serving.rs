//! The server's side of a step: datagrams in, ticks, wishes of the game, datagrams out, in the threads' order.
//!
//! Knows the universe and the host. Checks each event of the server against the books before the world hears it.

use std::net::SocketAddr;

use rand::RngExt as _;
use tickwire::id::ClientSlot;
use tickwire::proto::event::{DisconnectReason, ServerEvent};
use tickwire::proto::netcode::MAX_DATAGRAM;

use crate::air::server_address;
use crate::host::{Host, Wish};
use crate::model::{BULK, LOOSE};
use crate::universe::{Universe, Verdict, len};

impl Universe {
    /// What the server's threads do at this moment.
    pub(crate) fn serve(&mut self) -> Verdict {
        if self.now < self.frozen_until {
            return Ok(());
        }
        let Some(mut host) = self.host.take() else {
            self.socket_queue.clear();
            return Ok(());
        };
        let verdict = self.serve_with(&mut host);
        self.host = Some(host);
        verdict
    }

    fn serve_with(&mut self, host: &mut Host) -> Verdict {
        let mut busy = false;
        while let Some(mut arrival) = self.socket_queue.pop_front() {
            host.receive(self.now, arrival.from, &mut arrival.bytes);
            busy = true;
        }
        busy |= host.next_timer().is_some_and(|due| due <= self.now);
        host.settle(self.now);
        self.hear_server(host)?;
        while self.now >= self.stalled_until && host.pace.next_wake() <= self.now {
            busy = true;
            let wishes = host.wake(self.now, self.wall())?;
            for wish in wishes {
                self.carry_out(host, wish)?;
            }
            self.chat_with_players(host);
            self.flush(host);
        }
        if busy {
            self.hear_server(host)?;
            self.flush(host);
        }
        Ok(())
    }

    fn flush(&mut self, host: &mut Host) {
        let mut buffer = [0; MAX_DATAGRAM];
        while let Some(transmit) = host.endpoint.poll_transmit(self.now, &mut buffer) {
            let datagram = &buffer[..transmit.len];
            self.air
                .borrow_mut()
                .send(server_address(), transmit.to, datagram);
        }
    }

    /// Takes the server's news, and checks each of them.
    fn hear_server(&mut self, host: &mut Host) -> Verdict {
        while let Some(event) = host.endpoint.poll_event() {
            match &event {
                ServerEvent::Connected {
                    slot,
                    client,
                    address,
                    ..
                } => {
                    self.tell("enters", client.0, || format!("{slot} at the server"));
                    self.ledger.joined(self.now, *slot, *client, *address)?;
                }
                ServerEvent::Disconnected {
                    slot,
                    client,
                    reason,
                } => {
                    self.tell("is out", client.0, || {
                        format!("{slot} at the server: {reason}")
                    });
                    self.ledger.left(*slot, *client, *reason)?;
                }
                ServerEvent::Message {
                    slot,
                    channel,
                    message,
                } => self.ledger.heard(*slot, *channel, message)?,
                ServerEvent::Input { slot, .. } => self.ledger.wanted(*slot)?,
                _ => {}
            }
            host.forward(event);
        }
        Ok(())
    }

    fn carry_out(&mut self, host: &mut Host, wish: Wish) -> Verdict {
        match wish {
            Wish::Message(slot, channel, message) => {
                let Some(address) = self.ledger.address_in(slot) else {
                    return Ok(());
                };
                match host.endpoint.send(slot, channel, &message) {
                    Ok(()) => self.ledger.life(address)?.down.sent(channel, &message),
                    Err(error) if !self.ledger.life(address)?.is_hostile => {
                        return Err(format!("the game's message to {slot}: {error}"));
                    }
                    Err(_) => {}
                }
            }
            Wish::Kick(slot) => return self.kick(host, slot),
        }
        Ok(())
    }

    pub(crate) fn kick(&mut self, host: &mut Host, slot: ClientSlot) -> Verdict {
        if let Some(address) = self.ledger.address_in(slot) {
            self.ledger.life(address)?.was_kicked = true;
            let reason = DisconnectReason::Kicked;
            host.endpoint
                .disconnect(self.now, slot, reason, "no ghosts");
        }
        Ok(())
    }

    /// The server says something of our own to somebody.
    fn chat_with_players(&mut self, host: &mut Host) {
        let seated: Vec<_> = self.ledger.slots().collect();
        for (slot, address) in seated {
            if self.rng.random_range(0..1_000) < self.chatter {
                self.say_down(host, slot, address, 1);
            }
        }
    }

    pub(crate) fn say_down(
        &mut self,
        host: &mut Host,
        slot: ClientSlot,
        address: SocketAddr,
        count: u32,
    ) {
        let Ok(life) = self.ledger.life(address) else {
            return;
        };
        for _ in 0..count {
            let channel = if self.rng.random_bool(0.7) {
                BULK
            } else {
                LOOSE
            };
            let message = life.down.next_message(len(&mut self.rng));
            if host.endpoint.send(slot, channel, &message).is_ok() {
                life.down.sent(channel, &message);
            }
        }
    }
}
