/** Work of one user after the other, in the order it came; that of different users side by side. */

export class PerUser {
  readonly #last = new Map<string, Promise<void>>()

  /** Begins `work`, which must not reject, once what the user had before is done. */
  add(user: string, work: () => Promise<void>): void {
    const own = (this.#last.get(user) ?? Promise.resolve()).then(work)
    this.#last.set(user, own)
    void own.then(() => this.#last.get(user) === own && this.#last.delete(user))
  }

  /** Resolves when nothing is left that the user has now. */
  async settled(user: string): Promise<void> {
    await this.#last.get(user)
  }

  async allSettled(): Promise<void> {
    await Promise.all(this.#last.values())
  }
}
