// Authentication: what a connection asks about who its client is, and what it may be answered. No behaviour; knows no password file.
import type { Connection } from './connection.ts'

export type AuthAnswer =
  /** `data` is the server's last word in an exchange; null after a password. */
  | { readonly kind: 'accepted'; readonly username: string; readonly data: Uint8Array | null }
  /** The client has to answer this. */
  | { readonly kind: 'challenge'; readonly data: Uint8Array }
  /** `why` is for the log and a 5.0 client: nothing in it tells a wrong password from an unknown user. `username`: as claimed. */
  | { readonly kind: 'refused'; readonly reason: number; readonly why: string; readonly username: string | null }

/** Each question is answered later by onAnswer (on_auth.ts), unless it is forgotten. One question of a connection at a time. */
export interface Authentication {
  /** Users and their passwords are known here: a user name must be proven. */
  readonly required: boolean
  /** This method of enhanced authentication is on offer. */
  offers(method: string): boolean
  /** @param password given away: it is erased after the check */
  askPassword(connection: Connection, username: string, password: Uint8Array | null): void
  /** The client's first message of an exchange. */
  askFirst(connection: Connection, method: string, data: Uint8Array | null): void
  /** Its answer to a challenge. */
  askNext(connection: Connection, data: Uint8Array | null): void
  /** The connection ends: nobody waits for an answer. */
  forget(connection: Connection): void
}
