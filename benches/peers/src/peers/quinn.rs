//! quinn: QUIC datagrams, both ends on a current-thread runtime of tokio, cryptography by ring.
//!
//! All clients are connections of one endpoint. Its datagrams leave in the connections' own tasks, after the tick's code has
//! returned, so its overruns are understated: judge it by processor time and delivery.

use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    ClientConfig, Connection, Endpoint, EndpointConfig, ServerConfig, TokioRuntime, TransportConfig,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio::sync::Semaphore;
use tokio::task::{LocalSet, spawn_local};

use super::{Outcome, Peer};
use crate::bytes::Template;
use crate::job::{Job, Loaded, Phase, Served, TICK, Word};
use crate::load::{Ledger, SLOTS, of_slot};
use crate::machine;
use crate::server::Meter;
use crate::sockets::{self, Traffic};

/// So many handshakes are under way at once.
const AT_ONCE: usize = 16;

pub(crate) struct Quinn;

impl Peer for Quinn {
    fn name(&self) -> &'static str {
        "quinn"
    }

    fn title(&self) -> &'static str {
        "quinn 0.11, datagrams"
    }

    fn serve(&self, job: &Job) -> Outcome<Served> {
        block_on(serve(*job))
    }

    fn load(&self, job: &Job, server: SocketAddr) -> Outcome<Loaded> {
        block_on(load(*job, server))
    }
}

fn block_on<T>(work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, work)
}

fn endpoint(server: Option<ServerConfig>) -> Outcome<Endpoint> {
    let socket = sockets::open(Ipv4Addr::LOCALHOST)?;
    Ok(Endpoint::new(
        EndpointConfig::default(),
        server,
        socket,
        Arc::new(TokioRuntime),
    )?)
}

fn transport() -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport.datagram_receive_buffer_size(Some(1 << 20));
    transport.datagram_send_buffer_size(1 << 16);
    Arc::new(transport)
}

/// A certificate of the moment's own.
fn server_config() -> Outcome<ServerConfig> {
    let identity = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let key = PrivatePkcs8KeyDer::from(identity.signing_key.serialize_der());
    let mut config = ServerConfig::with_single_cert(vec![identity.cert.der().clone()], key.into())?;
    config.transport = transport();
    Ok(config)
}

/// A client that trusts whoever answers: the server's certificate is not known in this process, and guards nothing.
fn client_config() -> Outcome<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(transport());
    Ok(config)
}

/// Believes every certificate, and checks signatures as usual.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("QUIC is TLS 1.3".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Counts the datagrams of this length until the connection ends.
async fn count(connection: Connection, len: usize, counter: Rc<Cell<u64>>) {
    while let Ok(datagram) = connection.read_datagram().await {
        counter.set(counter.get() + u64::from(datagram.len() == len));
    }
}

/// Sleeps on the runtime until the monotonic clock says `due`.
async fn until(due: u64) {
    let left = due.saturating_sub(machine::now());
    if left > 0 {
        tokio::time::sleep(Duration::from_nanos(left)).await;
    } else {
        tokio::task::yield_now().await;
    }
}

type Connections = Rc<RefCell<Vec<Option<Connection>>>>;

async fn serve(job: Job) -> Outcome<Served> {
    let mut meter = Meter::new();
    let endpoint = endpoint(Some(server_config()?))?;
    let clients: Connections = Rc::default();
    let inputs: Rc<Cell<u64>> = Rc::default();
    Word::Listening(endpoint.local_addr()?.port()).say();
    spawn_local(accept(
        endpoint.clone(),
        Rc::clone(&clients),
        Rc::clone(&inputs),
        job.input,
    ));
    let snapshot = Template::new(job.bytes);
    let start = machine::now();
    for tick in 1.. {
        let due = start + tick * TICK;
        until(due).await;
        let phase = meter.begin(machine::now());
        meter.served.inputs = inputs.get();
        if phase != Phase::After {
            meter.served.snapshots += send_each(&clients.borrow(), &snapshot, tick);
        }
        // Behind the tasks that were just woken.
        tokio::task::yield_now().await;
        meter.end(due);
        if meter.is_over() {
            break;
        }
    }
    Ok(meter.served)
}

async fn accept(endpoint: Endpoint, clients: Connections, inputs: Rc<Cell<u64>>, input: usize) {
    while let Some(incoming) = endpoint.accept().await {
        let (clients, inputs) = (Rc::clone(&clients), Rc::clone(&inputs));
        spawn_local(async move {
            if let Ok(connection) = incoming.await {
                clients.borrow_mut().push(Some(connection.clone()));
                count(connection, input, inputs).await;
            }
        });
    }
}

/// Sends each of these that is connected its bytes, and answers how many took them.
fn send_each(connections: &[Option<Connection>], bytes: &Template, tick: u64) -> u64 {
    let mut sent = 0;
    for (number, connection) in connections.iter().enumerate() {
        if let Some(connection) = connection {
            let datagram = Bytes::from(bytes.to_vec(number, tick));
            sent += u64::from(connection.send_datagram(datagram).is_ok());
        }
    }
    sent
}

async fn load(job: Job, server: SocketAddr) -> Outcome<Loaded> {
    let connections: Connections = Rc::new(RefCell::new(vec![None; job.clients]));
    let snapshots: Rc<Cell<u64>> = Rc::default();
    let connected: Rc<Cell<u64>> = Rc::default();
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let (endpoint, config) = (endpoint(None)?, client_config()?);
    for number in 0..job.clients {
        let (gate, endpoint, config) = (Arc::clone(&gate), endpoint.clone(), config.clone());
        let (connections, snapshots) = (Rc::clone(&connections), Rc::clone(&snapshots));
        let connected = Rc::clone(&connected);
        spawn_local(async move {
            let connection = {
                let _one_of_few = gate.acquire().await;
                connect(&endpoint, config, server).await
            };
            if let Some(connection) = connection {
                connections.borrow_mut()[number] = Some(connection.clone());
                connected.set(connected.get() + 1);
                count(connection, job.bytes, snapshots).await;
            }
        });
    }
    let input = Template::new(job.input);
    let mut ledger = Ledger::new();
    let start = machine::now();
    for turn in 0.. {
        let due = start + turn * TICK / SLOTS;
        until(due).await;
        let phase = ledger.begin(machine::now(), due, Traffic::default());
        if phase != Phase::After {
            let clients = of_slot(job.clients, turn % SLOTS, job.clients);
            let sent = send_each(&connections.borrow()[clients], &input, turn / SLOTS);
            ledger.loaded.inputs += sent;
        }
        ledger.loaded.snapshots = snapshots.get();
        if ledger.is_over(connected.get() as usize, job.clients) {
            break;
        }
    }
    Ok(ledger.loaded)
}

async fn connect(endpoint: &Endpoint, config: ClientConfig, to: SocketAddr) -> Option<Connection> {
    endpoint
        .connect_with(config, to, "localhost")
        .ok()?
        .await
        .ok()
}
