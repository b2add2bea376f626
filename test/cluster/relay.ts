/** A TCP relay before a server that falls silent at a chosen point, as a server or network that hangs does. */
import { connect, createServer, type Server, type Socket } from 'node:net'

export class Relay {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #left = Number.POSITIVE_INFINITY
  #forwardsLast = false
  #onSilence = () => {}
  /** messages from clients since the last `relayAll` */
  seen = 0

  private constructor(port: number | undefined, host: string) {
    this.#server = createServer((client) => {
      this.#keep(client)
      if (port === undefined) {
        // read on, or the client's end would go unnoticed
        client.resume()
        return
      }
      const upstream = connect(port, host)
      this.#keep(upstream)
      client.on('close', () => upstream.destroy())
      upstream.on('close', () => client.destroy())
      client.on('data', (data) => {
        this.seen++
        this.#left--
        if (this.#left >= 0 || (this.#left === -1 && this.#forwardsLast)) upstream.write(data)
        if (this.#left === -1) this.#onSilence()
      })
      upstream.on('data', (data) => {
        if (this.#left >= 0) client.write(data)
      })
    })
  }

  /**
   * @param port of the server; without one, connections are accepted and never answered
   * @param host of the server
   */
  static async start(port?: number, host = '127.0.0.1'): Promise<Relay> {
    const relay = new Relay(port, host)
    await new Promise<void>((resolve) => relay.#server.listen(0, '127.0.0.1', resolve))
    return relay
  }

  get port(): number {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the relay does not listen')
    return address.port
  }

  /**
   * @param count messages from clients that still get through and are answered
   * @param forwardsNext whether the server gets the message after them too, with its answer lost
   * @param onSilence called when that message has come
   */
  silentAfter(count: number, forwardsNext: boolean, onSilence: () => void): void {
    this.#left = count
    this.#forwardsLast = forwardsNext
    this.#onSilence = onSilence
  }

  /** From now on everything gets through. */
  relayAll(): void {
    this.seen = 0
    this.#left = Number.POSITIVE_INFINITY
  }

  /** how many connections are open on both sides of the relay */
  get open(): number {
    return this.#sockets.size
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    // the side that is still open learns by its own close
    socket.on('error', () => undefined)
  }
}
