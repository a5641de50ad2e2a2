// Limits: every bound of the system, with its unit and its reason. Operators may change those that have a flag.
import { assert } from './assert.ts'

const KIB = 1024
const MIB = 1024 * KIB

export const LIMITS = {
  // ---- one client's packets
  /** Bytes of one MQTT packet; checked on the fixed header, before anything is buffered. mosquitto 2.1's default is 2 000 000. */
  packetBytesMax: 2 * MIB,
  /** ... and the most an operator may allow: a frame to the peer must hold two. */
  packetBytesMost: 16 * MIB,
  /** Bytes of a first packet: a stranger may not make us buffer more than a CONNECT needs. */
  connectBytesMax: 256 * KIB,
  /** Bytes of a client identifier. The standard's own limit is 65 535; ids are kept in many tables. */
  clientIdBytesMax: 4 * KIB,
  /** Bytes of a topic name or filter: the standard's own limit. */
  topicBytesMax: 65_535,
  /** Levels of a topic name or filter: matching is linear in them. */
  topicLevelsMax: 128,
  /** Topic names remembered with their routes, some 2 kB each of what the process takes; above it those not used lately are found anew. */
  topicNamesMax: 32_768,
  /** ... and their bytes. */
  topicNamesBytesMax: 64 * MIB,
  /** Sessions that remembered routes lead to, of all topics together, some 200 bytes each; above it all routes are found anew. */
  routedTargetsMax: 250_000,
  /** Subscriptions of one session. */
  subscriptionsPerSessionMax: 10_000,
  /** Bytes of one session's filters: they go to the other node in one piece. 10 000 of 800 bytes. */
  filterBytesPerSessionMax: 8 * MIB,
  /** Filters of one SUBSCRIBE that are looked at, or as many as a session may have where that is more: 2 MiB hold 500 000, others would feel it. */
  filtersPerPacketMax: 10_000,
  /** Publishers that one shared subscription remembers the member of (strategy sticky); it then forgets them all. */
  stickyPublishersMax: 10_000,
  /** Milliseconds between accept and CONNECT. */
  connectTimeoutMs: 10_000,
  /** Milliseconds in which a closed connection's last bytes must be read, once no promise holds them: a network that stalls recovers in less. */
  closeTimeoutMs: 5_000,
  // ---- who a client is
  /** Milliseconds between CONNECT and the end of authentication, the wait for others' passwords included. Clients give up at 30 s. */
  authTimeoutMs: 20_000,
  /** Password checks under way at once: the runtimes' thread pools have four threads. One core stays free for the broker. */
  passwordChecksMax: 4,
  /** Password checks waiting; the next CONNECT is told Server busy. */
  passwordChecksWaitingMax: 10_000,
  /** Bytes of a password, kept while its check waits; a longer one is never right. */
  passwordBytesMax: 4 * KIB,
  /** Bytes of one SCRAM message: a user name of 64 KiB is not worth a second copy. */
  scramMessageBytesMax: 4 * KIB,
  /** PBKDF2 iterations of one password, in a password file: 10 s of one core for each login. */
  passwordIterationsMax: 10_000_000,
  /** Bytes of a salt in a password file. mosquitto writes 12 (2.0) or 64 (2.1). */
  saltBytesMax: 256,
  /** Bytes of a password file: some 300 000 users. */
  passwordFileBytesMax: 64 * MIB,
  /** Bytes of an access-control file: some 500 000 lines. */
  aclFileBytesMax: 16 * MIB,
  /** Topics of one connection whose judgement is remembered; above it all are forgotten and judged anew. */
  judgedTopicsMax: 1_000,
  /** Topics refused to one connection that the log tells of. */
  refusedTopicsToldMax: 20,
  // ---- flow
  /** QoS 1 and 2 messages a client may have under way to us at once. */
  receiveMaximum: 1_000,
  /** Messages under way to a client that can name no Receive Maximum of its own (3.x). */
  inflightDefault: 1_000,
  /** Bytes of the HTTP request that opens a WebSocket: cookies of a site may be long. Node's default too. */
  wsRequestBytesMax: 16 * KIB,
  /** Payload bytes of a WebSocket frame to a client: what is kept of a frame that its socket took in part. */
  wsFrameBytesMax: 64 * KIB,
  /** Messages under way to one client, whatever it allows: each id track holds 16 383 identifiers. */
  inflightMax: 16_383,
  /** Topic aliases a client may use, the standard's own limit: their memory is bounded by the next one. */
  topicAliasMaximum: 65_535,
  /** Bytes of the topic names that one client's aliases stand for: as many as the standard allows, of 64 bytes each. */
  aliasBytesMax: 4 * MIB,
  /** Topic aliases used towards one client, whatever it allows: each costs about 100 bytes. */
  aliasesOutMax: 1_024,
  /** Bytes of a topic name from which on an alias saves anything: it costs three itself. */
  aliasedBytesMin: 4,
  // ---- queues
  /** Messages waiting for one session, beside those under way. */
  queuedMessagesMax: 100_000,
  /** Bytes of payload, properties and topic name waiting for one session. */
  queuedBytesMax: 256 * MIB,
  /** Positions between the oldest message that a client has not acknowledged and the next one it is sent: each takes 8 bytes in its queue. */
  queueSpanMax: 1_000_000,
  /** Bytes kept for all sessions of a node, each message once; above it publishers are paused, a quarter above it nothing more is queued. A quarter of a small machine's memory. */
  queuedBytesTotalMax: 1024 * MIB,
  /** What a kept message takes in memory beside its bytes, and a queue entry: 230 and 170 on Bun's heap, and what waits for collection. */
  messageBytes: 400,
  entryBytes: 200,
  /** Milliseconds between two lines in the log about one full queue, or about a full retained store. */
  fullToldMs: 60_000,
  /** Milliseconds between two looks for expired messages in queues. */
  expirySweepMs: 1_000,
  /** Milliseconds after which a publisher paused for memory is read from once: its acknowledgements make room. */
  pausedReadMs: 1_000,
  /** Bytes written for one connection and not yet taken by its socket, above which its QoS 0 messages are dropped. */
  outBytesQos0Max: 4 * MIB,
  /** ... above which its queued QoS 1 and 2 messages wait in the session. */
  outBytesPumpMax: 1 * MIB,
  /** ... of both instead, while all connections together hold more than a quarter of `queuedBytesTotalMax`: many slow readers are no full memory. */
  outBytesTightMax: 64 * KIB,
  /** ... above which the connection is closed: it does not read at all. */
  outBytesMax: 64 * MIB,
  // ---- retained
  /** Topics with a retained message, on both nodes alike; some 600 bytes each beside the next limit. */
  retainedMessagesMax: 1_000_000,
  /** Bytes of payload, properties and topic name of all retained messages. A quarter of a small machine's memory. */
  retainedBytesMax: 1024 * MIB,
  /** Topics whose deletion is remembered for a peer that may come back with their value, and their bytes; above it the oldest are forgotten. */
  deletedRetainedMax: 100_000,
  deletedRetainedBytesMax: 64 * MIB,
  // ---- connections
  connectionsMax: 1_000_000,
  /** Sockets beside those of --max-connections: of clients that have not said CONNECT, or have been ended. So many connect at once after a cut. */
  socketsBeforeConnectMax: 10_000,
  /**
   * Descriptors that are not for clients' sockets. An idle node has 40 open; the link may take 18, the admin port and the disk some.
   */
  descriptorsKept: 128,
  /** ... and for each address: Deno accepts so many at once before it closes one that has no room; Bun has eight listeners. */
  descriptorsKeptPerAddress: 128,
  /** Milliseconds between two lines in the log about sockets for which there is no room. */
  socketsRefusedToldMs: 60_000,
  /** Milliseconds of silence after which the kernel asks whether a client is still there: its keep alive may be 0, and its power cut. */
  tcpKeepAliveMs: 60_000,
  /** Seconds: 0xFFFFFFFF never expires, as the standard has it. */
  sessionExpiryMax: 0xffff_ffff,
  // ---- the link
  /** Bytes of one peer frame; a group larger than this travels alone. */
  frameBytesMax: 64 * MIB,
  /** Bytes in one group with which the messages of a session that ends go to others; what is beyond is dropped. */
  dealtBytesMax: 32 * MIB,
  /** Bytes at which a batch of groups becomes a frame. */
  frameBatchBytes: 64 * KIB,
  /** Bytes at which a group is closed at the next packet boundary. */
  groupBytes: 64 * KIB,
  /** Bytes above which one turn becomes several groups: a packet may ask for much, and a link must carry a group within its patience. */
  groupBytesMost: 1 * MIB,
  /** Bytes of messages in one op about a session's queue. */
  opBytesMax: 1 * MIB,
  /** Bytes handed to the link's socket and not yet sent; above it frames wait in our own order. */
  linkBacklogBytesMax: 1 * MIB,
  /** Bytes of unacknowledged groups kept for resending; above it publishers are paused. */
  ringBytesMax: 64 * MIB,
  /** Groups kept for resending. */
  ringGroupsMax: 200_000,
  /** Topics and publishers a stream remembers by number; further ones cross it in full. */
  streamNamesMax: 65_536,
  /** UTF-16 units of such a name, or the table could take gigabytes; longer ones cross in full. */
  streamNameLengthMax: 256,
  /** Claims under way at once; the next CONNECT is told Server busy. */
  claimsMax: 65_536,
  /** Milliseconds between two lines in the log about connections to the cluster port that are not the peer's. */
  strangerToldMs: 60_000,
  /** Past tokens kept per session; a longer fork is merged instead of fast-forwarded. */
  lineageMax: 32,
  /** Past generations kept per node; an older peer is merged as after a split. */
  generationHistoryMax: 256,
  /** Sessions, retained messages and presences put into the stream per snapshot step. */
  snapshotItemsPerStep: 50,
  /** Bytes put into the stream per snapshot step. */
  snapshotBytesPerStep: 32 * KIB,
  /** Sessions that ended while the other node could not be told, remembered for when it comes back; above it the oldest are forgotten. */
  endedSessionsMax: 100_000,
  // ---- the API's lists
  /** Rows of one answer, also where no `limit` is asked for: writing more of them would be felt by clients. */
  listRowsMax: 1_000,
  /** Sessions, topics and filters looked at for one answer: some milliseconds. */
  listEffortMax: 20_000,
  // ---- timing, milliseconds
  /** How long a node that ends waits for its disk: long enough to copy a large log into the database, and what is in the log is safe. */
  storeCloseMs: 10_000,
  heartbeatMs: 250,
  suspectMs: 1_000,
  soloMs: 3_000,
  stuckMs: 10_000,
  claimTimeoutMs: 5_000,
  bootWaitMs: 30_000,
  willGraceMs: 10_000,
  willMaxHoldMs: 60_000,
  /** A changed state is on disk at most this much later, even if no acknowledgement hangs on it. */
  flushMs: 50,
  /** Lazy ops (sent marks, dequeues) may wait this long for company. */
  lazyMs: 5,
  /** Changed values of $SYS are told this often, as mosquitto does. */
  sysIntervalMs: 10_000,
  /** A session outlives its expiry by this much, unseen, while the other node may be serving its client behind a cut link. */
  partedExpiryMs: 60_000,
  /** A gap between two of our own turns that makes silence of the peer no evidence. */
  ownPauseMs: 500,
  /** Failed dials of our own before silence counts as death. */
  failedDialsMin: 3,
  /** Wall clock difference of the nodes that raises an alarm; far beyond it the pair refuses to form. */
  skewAlarmMs: 5_000,
  skewRefuseMs: 300_000,
} as const

assert(LIMITS.connectBytesMax <= LIMITS.packetBytesMax, 'a CONNECT is a packet')
assert(LIMITS.subscriptionsPerSessionMax <= LIMITS.filtersPerPacketMax, 'one packet may fill a session')
assert(LIMITS.packetBytesMax <= LIMITS.packetBytesMost, 'the default may be allowed')
assert(LIMITS.frameBytesMax >= 2 * LIMITS.packetBytesMost + LIMITS.frameBatchBytes, 'a frame must hold any packet')
assert(LIMITS.dealtBytesMax + 2 * LIMITS.packetBytesMax <= LIMITS.frameBytesMax, 'a group must fit into a frame')
assert(LIMITS.ringBytesMax >= LIMITS.frameBytesMax, 'the ring must hold any frame')
assert(LIMITS.heartbeatMs * 4 <= LIMITS.suspectMs, 'suspicion needs several missed heartbeats')
assert(LIMITS.suspectMs < LIMITS.soloMs && LIMITS.soloMs < LIMITS.stuckMs, 'suspect, solo, stuck come in this order')
assert(LIMITS.inflightMax <= 0x3fff, 'a track of packet identifiers has 16 383')
assert(
  LIMITS.outBytesTightMax < LIMITS.outBytesPumpMax &&
    LIMITS.outBytesPumpMax < LIMITS.outBytesQos0Max &&
    LIMITS.outBytesQos0Max < LIMITS.outBytesMax,
  'out-buffer steps grow',
)
