//! Why a datagram was dropped: one name a reason, for both ends. Counted by whoever drives them, silent on the wire.

use crate::names::named;

named! {
    /// The reason why a datagram was ignored.
    ///
    /// The sender learns nothing of it, with one exception that the standard asks for: [`Self::ServerFull`] is
    /// answered with a connection denied packet.
    pub enum Rejection {
        TooSmall = 1, "too_small", "shorter than the shortest packet (18 bytes)";
        TooLarge = 2, "too_large", "longer than the longest packet";
        UnknownType = 3, "unknown_type", "not one of the seven packet types";
        WrongDirection = 4, "wrong_direction", "a packet type that only the other end receives";
        SequenceBytes = 5, "sequence_bytes", "not 1 to 8 bytes of sequence number";
        Truncated = 6, "truncated", "too short for its own sequence number and mac";
        Replayed = 7, "replayed", "a sequence number that was received before or is too old to tell";
        Forged = 8, "forged", "not sealed with the key of this session";
        BodySize = 9, "body_size", "sealed properly, but of a size that its type does not have";
        NoSession = 10, "no_session", "neither a session nor a handshake is known at this address";
        Unexpected = 11, "unexpected", "a packet type that means nothing in this state";
        WrongSender = 12, "wrong_sender", "not from the server that the client is talking to";
        RequestSize = 20, "request_size", "a connection request has exactly 1078 bytes";
        RequestVersion = 21, "request_version", "another version of the protocol";
        RequestProtocol = 22, "request_protocol", "another protocol id";
        TokenExpired = 23, "token_expired", "the connect token has expired";
        AddressSeated = 24, "address_seated", "the address already has a session";
        TokenForged = 25, "token_forged", "the connect token was not sealed with the key of this server";
        TokenMalformed = 26, "token_malformed", "the private connect token cannot be read";
        WrongServer = 27, "wrong_server", "the connect token is for other servers";
        TokenClaimed = 28, "token_claimed", "another address is connecting with this connect token";
        TokenUsed = 29, "token_used", "a session was opened with this connect token before";
        ClientSeated = 30, "client_seated", "the client already has a session";
        TokenStoreFull = 31, "token_store_full", "no more used connect tokens can be remembered";
        ServerFull = 32, "server_full", "every place is taken; the client was told";
        AnswersFull = 33, "answers_full", "too many answers wait to be sent";
        ChallengeForged = 34, "challenge_forged", "the challenge token is not one of this server";
        ChallengeForeign = 35, "challenge_foreign", "the challenge was given to another address, token or time";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_are_unique() {
        for (at, one) in Rejection::ALL.iter().enumerate() {
            assert_eq!(one.index(), at);
            assert_eq!(Rejection::from_code(one.code()), Some(*one));
            for other in &Rejection::ALL[at + 1..] {
                assert_ne!(one.name(), other.name());
            }
        }
    }
}
