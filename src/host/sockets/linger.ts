// Linger: sockets that have been ended and wait for the other side's FIN, for one to two seconds. Knows not what a socket is.

const GENERATION_MS = 1000

export class LingerList<T> {
  private young = new Set<T>()
  private old = new Set<T>()
  private timer: ReturnType<typeof setTimeout> | null = null
  private readonly expire: (item: T) => void

  constructor(expire: (item: T) => void) {
    this.expire = expire
  }

  add(item: T): void {
    this.young.add(item)
    this.arm()
  }

  delete(item: T): void {
    this.young.delete(item)
    this.old.delete(item)
  }

  private arm(): void {
    if (this.timer !== null || this.young.size + this.old.size === 0) return
    this.timer = setTimeout(() => {
      this.timer = null
      const { old } = this
      this.old = this.young
      this.young = new Set()
      for (const item of old) this.expire(item)
      this.arm()
    }, GENERATION_MS)
    this.timer.unref()
  }
}
