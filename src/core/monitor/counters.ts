// Counters: the names of all that is counted, with their help. A name `dropped_x`, `faults_x`, `merged_x`, `refused_x` or `strangers_x` is one
// reason of a family. Counts nothing itself.

/** Shown from the start, at 0: a rate needs a value before the first event. */
export const COUNTERS: Readonly<Record<string, string>> = {
  accepts: 'client sockets accepted',
  acl_file_reload_failures: 'times that the access-control file could not be used and the former rules stayed',
  acl_file_reloads: 'times that the access-control file was read again',
  admin_drains_refused: 'requests to drain this node that were not from this machine itself',
  admin_hosts_refused: 'requests to the API from this machine under a name that is not its own',
  authentication_timeouts: 'CONNECTs refused because authentication was not over in time',
  authentications_accepted: 'clients that have proven who they are, and those that did it again',
  authentications_refused: 'clients that have not',
  claims_crossed: 'client ids that both nodes asked each other for at once',
  claims_sent: 'client ids asked for at the peer',
  claims_timed_out: 'CONNECTs refused because the peer did not answer for the session',
  connect_timeouts: 'sockets closed because no CONNECT came in time',
  connections_closed_slow: 'connections closed because the client did not read',
  connects: 'CONNECTs accepted',
  disconnects: 'connections that ended',
  handovers_in: 'sessions taken over from the peer',
  handovers_out: 'sessions given to the peer',
  joins: 'times that this node and its peer have come into step',
  keep_alive_timeouts: 'connections closed because the client was silent',
  link_bytes_in: 'bytes received from the peer',
  link_bytes_out: 'bytes sent to the peer',
  link_faults: 'times that the link was dropped for what came over it',
  link_resumes: 'times that the link came back with nothing lost',
  password_file_reload_failures: 'times that the password file could not be used and the former users stayed',
  password_file_reloads: 'times that the password file was read again',
  promotions: 'sessions of the peer that this node went on with alone',
  publishers_paused: 'times that a publisher stood still because the peer was too far behind, or too much was kept',
  qos0_not_queued: 'QoS 0 messages that did not wait for a session without connection',
  retained_expired: 'retained messages whose Message Expiry Interval was over',
  sessions_expired: 'sessions that ended because their time without a connection was over',
  shared_bounced: 'messages that no member of a shared subscription here could take, given back to the peer',
  shared_dealt: 'messages that went to another member because a session ended',
  solo_decisions: 'times that this node decided to go on alone',
  splits_healed: 'times that two nodes that had gone on alone were merged',
  stale_ops: 'changes of the peer to sessions that had moved on',
  subscriptions_refused: 'filters that SUBACK refused',
  takeovers: 'connections cut because another one with the same client id came',
  wills_published: 'wills published',

  dropped_expired: 'their Message Expiry Interval was over',
  dropped_link_busy: 'QoS 0, the link to the peer was gone or did not keep up',
  dropped_memory_full: 'the node kept more for its sessions than it may',
  dropped_dealt_full: 'left by a session that ended with more than one group of changes takes',
  dropped_no_member: 'no member of the shared subscription could take it',
  dropped_not_authorized: 'published to a topic that the client may not publish to',
  dropped_payload_format: 'refused, the payload was not the UTF-8 text it said it was',
  dropped_queue_full: 'the queue of the session was full',
  dropped_retained_full: 'not retained, the retained store was full',
  dropped_slow_reader: 'QoS 0, the client did not read fast enough',
  dropped_sys_topic: 'published to $SYS, which is the broker’s own',
  dropped_topic_name: 'refused, the topic name was longer or deeper than allowed',
  dropped_too_large: 'above the Maximum Packet Size of the client',

  merged_contained: 'nothing new',
  merged_diverged: 'queues joined',
  merged_ended: 'ended on one side, not gone on with on the other',
  merged_possible_duplicates: 'queues joined with messages under way',
  merged_replaced: 'the other node knew more',
  merged_taken: 'not known here',
}

export type CounterFamily = { readonly label: string; readonly help: string }

/** Counters of one name in Prometheus, told apart by a label. */
export const COUNTER_FAMILIES: Readonly<Record<string, CounterFamily>> = {
  dropped: { label: 'reason', help: 'messages dropped' },
  faults: { label: 'reason', help: 'connections closed for what the client did, by MQTT reason code' },
  refused: { label: 'reason', help: 'CONNECTs refused, by MQTT reason code' },
  merged: { label: 'result', help: 'sessions that a healed split met on both sides' },
  strangers: {
    label: 'reason',
    help: 'connections to the cluster port that did not show to be the peer’s, by what was wrong',
  },
}
