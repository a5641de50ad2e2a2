// Settings: every flag of `tandemq start`, in the order of its help. Reads nothing and checks nothing (config.ts does).
import { LIMITS } from '../base/limits.ts'
import { SHARED_STRATEGIES } from '../topic/share_group.ts'

export type Setting = {
  /** Without dashes; also the key in the configuration file and, in capitals behind TANDEMQ_, the environment variable. */
  readonly name: string
  /** What the help calls its value; null for a switch. */
  readonly value: string | null
  readonly group: 'simple' | 'advanced' | 'planned'
  readonly help: string
  readonly list?: boolean
}

const setting = (group: Setting['group']) => (name: string, value: string | null, help: string) =>
  ({ name, value, group, help }) as Setting
const simple = setting('simple')
const advanced = setting('advanced')
/** Part of the contract, refused until it is there: ignoring a security setting is worse than not starting. */
const planned = (name: string, value: string | null) => setting('planned')(name, value, '')

export const SETTINGS: readonly Setting[] = [
  { ...simple('listen', '[HOST:]PORT', 'MQTT over TCP, repeatable (default 1883)'), list: true },
  {
    ...simple('listen-ws', '[HOST:]PORT', 'MQTT over WebSocket, repeatable; off unless given (8083 by custom)'),
    list: true,
  },
  simple('peer', 'HOST[:PORT]', 'the other node (default port 7883); without it this node is alone'),
  simple('cluster', '[HOST:]PORT', 'where the peer reaches this node (default 7883)'),
  simple(
    'cluster-secret-file',
    'FILE',
    'secret shared with the peer; required unless both cluster addresses are loopback',
  ),
  simple('name', 'NAME', 'node name, different on both nodes (default: host name and cluster port)'),
  simple('data', 'DIR', 'durable state (default ./tandemq-data)'),
  simple('no-data', null, 'keep everything in memory'),
  simple(
    'allow-anonymous',
    null,
    'take clients without user name from everywhere (default: from this machine only; with a password file: none)',
  ),
  simple(
    'password-file',
    'FILE',
    'who may come in, as mosquitto_passwd and tandemq passwd write it; read again on SIGHUP',
  ),
  simple('acl-file', 'FILE', 'who may publish and subscribe to what, as mosquitto has it; read again on SIGHUP'),
  simple('admin', '[HOST:]PORT', 'health, metrics and API over HTTP (default 127.0.0.1:18083)'),
  simple('config', 'FILE', 'settings as TOML, with the names of these flags'),
  simple('test-config', null, 'check the settings and end'),

  advanced(
    'ack',
    'LEVEL',
    'when a publish counts as safe: peer-ram, peer-write, peer-disk or both-disk (default peer-ram)',
  ),
  advanced(
    'partition',
    'POLICY',
    'when the nodes lose each other: available, stall or prefer:NAME (default available)',
  ),
  advanced('bootstrap', null, 'first start of a node whose peer is not there yet: serve at once'),
  advanced('suspect-ms', 'MS', `silence of the peer after which outputs wait (default ${LIMITS.suspectMs})`),
  advanced('solo-ms', 'MS', `silence after which this node goes on alone (default ${LIMITS.soloMs})`),
  advanced('boot-wait-ms', 'MS', `how long a starting node waits for its peer (default ${LIMITS.bootWaitMs})`),
  advanced(
    'will-grace-ms',
    'MS',
    `how long clients of a dead node have to come back before their wills (default ${LIMITS.willGraceMs})`,
  ),
  advanced('max-connections', 'N', `clients at once (default ${LIMITS.connectionsMax})`),
  advanced('max-packet-bytes', 'N', `largest MQTT packet taken (default ${LIMITS.packetBytesMax})`),
  advanced('max-queued-messages', 'N', `messages waiting for one session (default ${LIMITS.queuedMessagesMax})`),
  advanced('max-queued-bytes', 'N', `bytes waiting for one session (default ${LIMITS.queuedBytesMax})`),
  advanced(
    'queue-full',
    'POLICY',
    'what a full queue does: drop-newest, drop-oldest or disconnect (default drop-newest)',
  ),
  advanced('queue-qos0', null, 'let messages of QoS 0 wait for sessions without connection too'),
  advanced(
    'max-queued-bytes-total',
    'N',
    `bytes kept for all sessions, above which publishers are paused (default a quarter of the memory, at most ${LIMITS.queuedBytesTotalMax})`,
  ),
  advanced(
    'max-inflight-messages',
    'N',
    `messages under way to one client (default ${LIMITS.inflightDefault}; MQTT 5.0: its Receive Maximum)`,
  ),
  advanced(
    'receive-maximum',
    'N',
    `QoS 1 and 2 messages a client may have under way (default ${LIMITS.receiveMaximum})`,
  ),
  advanced('max-session-expiry', 'SECONDS', 'longest life of a session without connection (default: no limit)'),
  advanced('max-keep-alive', 'SECONDS', 'longest keep alive granted; 0: no limit (default 0)'),
  advanced('max-qos', 'QOS', 'highest quality of service offered (default 2)'),
  advanced('topic-alias-maximum', 'N', `topic aliases a client may use; 0: none (default ${LIMITS.topicAliasMaximum})`),
  advanced(
    'validate-utf8-payload',
    null,
    'look at payloads that say they are UTF-8 text, and refuse those that are not',
  ),
  advanced(
    'response-information',
    'TEXT',
    'told to clients that ask where answers may go; %c becomes the client identifier (default: none)',
  ),
  advanced(
    'server-reference',
    'HOST[:PORT]',
    'where clients reach the other node: told to 5.0 clients that this node sends there',
  ),
  advanced('no-retained', null, 'take no retained messages'),
  advanced(
    'shared-strategy',
    'STRATEGY',
    `which member of a shared subscription takes a message: ${SHARED_STRATEGIES.join(', ')} (default round-robin)`,
  ),
  advanced(
    'sys-interval',
    'SECONDS',
    `how often changed values of $SYS/# are told; 0: no $SYS (default ${LIMITS.sysIntervalMs / 1000})`,
  ),
  advanced('max-retained-messages', 'N', `topics with a retained message (default ${LIMITS.retainedMessagesMax})`),
  advanced(
    'max-retained-bytes',
    'N',
    `bytes of all retained messages (default a quarter of the memory, at most ${LIMITS.retainedBytesMax})`,
  ),
  advanced('max-subscriptions', 'N', `subscriptions of one session (default ${LIMITS.subscriptionsPerSessionMax})`),
  advanced('max-topic-levels', 'N', `levels of a topic name or filter (default ${LIMITS.topicLevelsMax})`),
  advanced('max-topic-bytes', 'N', `bytes of a topic name or filter (default ${LIMITS.topicBytesMax})`),
  advanced('max-client-id-bytes', 'N', `bytes of a client identifier (default ${LIMITS.clientIdBytesMax})`),
  advanced('client-id-pattern', 'REGEXP', 'client identifiers taken, as a regular expression for all of it'),
  advanced(
    'connect-timeout-ms',
    'MS',
    `how long a connection may take to its CONNECT (default ${LIMITS.connectTimeoutMs})`,
  ),
  advanced('proxy-protocol', null, 'clients come through a load balancer that sends PROXY headers, version 1 or 2'),
  {
    ...advanced(
      'ws-origin',
      'ORIGIN',
      'pages that may connect by WebSocket, as https://example.com, repeatable (default: all)',
    ),
    list: true,
  },
  advanced('log-level', 'LEVEL', 'error, warn, info or debug (default info)'),
  advanced('log-format', 'FORMAT', 'text or json (default text)'),

  planned('listen-tls', '[HOST:]PORT'),
  planned('listen-wss', '[HOST:]PORT'),
  planned('tls-cert', 'FILE'),
  planned('tls-key', 'FILE'),
  planned('tls-ca', 'FILE'),
  planned('tls-crl', 'FILE'),
  planned('tls-identity-as-username', null),
  planned('require-client-cert', null),
  planned('witness', 'HOST:PORT'),
  planned('discover', null),
]
