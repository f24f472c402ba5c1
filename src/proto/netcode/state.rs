//! The ten states of a client, with the standard's numbers and names. Knows their names, not how one leads to another.

use core::fmt;

/// Standard, "Client State Machine". Negative numbers are errors, the goal is [`Self::Connected`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum ClientState {
    /// The whole attempt, over all servers, took longer than the token lives.
    ConnectTokenExpired = -6,
    /// The token cannot be used.
    InvalidConnectToken = -5,
    /// The server was silent for the token's timeout while connected.
    ConnectionTimedOut = -4,
    /// The last server answered the request and then fell silent.
    ConnectionResponseTimedOut = -3,
    /// The last server never answered the request.
    ConnectionRequestTimedOut = -2,
    /// The last server is full.
    ConnectionDenied = -1,
    /// Not begun, or ended by one side's wish.
    Disconnected = 0,
    /// Asking a server.
    SendingConnectionRequest = 1,
    /// Answering its challenge.
    SendingConnectionResponse = 2,
    /// In.
    Connected = 3,
}

impl ClientState {
    /// Every state, by its number.
    pub const ALL: [Self; 10] = [
        Self::ConnectTokenExpired,
        Self::InvalidConnectToken,
        Self::ConnectionTimedOut,
        Self::ConnectionResponseTimedOut,
        Self::ConnectionRequestTimedOut,
        Self::ConnectionDenied,
        Self::Disconnected,
        Self::SendingConnectionRequest,
        Self::SendingConnectionResponse,
        Self::Connected,
    ];

    /// The standard's number.
    #[must_use]
    pub const fn number(self) -> i8 {
        self as i8
    }

    /// The standard's name, with underscores.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConnectTokenExpired => "connect_token_expired",
            Self::InvalidConnectToken => "invalid_connect_token",
            Self::ConnectionTimedOut => "connection_timed_out",
            Self::ConnectionResponseTimedOut => "connection_response_timed_out",
            Self::ConnectionRequestTimedOut => "connection_request_timed_out",
            Self::ConnectionDenied => "connection_denied",
            Self::Disconnected => "disconnected",
            Self::SendingConnectionRequest => "sending_connection_request",
            Self::SendingConnectionResponse => "sending_connection_response",
            Self::Connected => "connected",
        }
    }

    /// Whether nothing can follow: an error, or disconnected.
    #[must_use]
    pub const fn is_end(self) -> bool {
        self.number() <= 0
    }
}

impl fmt::Display for ClientState {
    /// The name, with spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.name().split('_').enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            f.write_str(word)?;
        }
        Ok(())
    }
}
