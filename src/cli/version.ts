// Version: stamped into the executable at compile time. Knows nothing else.

declare const TANDEMQ_VERSION: string | undefined
declare const TANDEMQ_COMMIT: string | undefined

export const VERSION = typeof TANDEMQ_VERSION === 'string' ? TANDEMQ_VERSION : '0.1.0-source'
export const COMMIT = typeof TANDEMQ_COMMIT === 'string' ? TANDEMQ_COMMIT : ''
