/** What Hearth uses of the package, which brings no types. */
declare module '@echogarden/espeak-ng-emscripten' {
  type SpeechEvent = {
    readonly type: string
    /** Of a word: the number of its first character, from 1, and how many there are. */
    readonly text_position: number
    readonly word_length: number
    /** Milliseconds from the start. */
    readonly audio_position: number
  }
  export interface EspeakWorker {
    /** 0 when there is a voice of that name; else the one before stays. */
    set_voice(name: string): number
    set_rate(wordsPerMinute: number): void
    get_samplerate(): number
    /** Gives samples as they are made, until the callback returns true. Returns IPA: a line for each clause, `_` between the phonemes of a word. */
    synthesize_and_get_phonemes(
      text: string,
      onSound: (samples: Int16Array, events: readonly SpeechEvent[]) => boolean,
    ): string
  }
  export default function load(): Promise<{ eSpeakNGWorker: new () => EspeakWorker }>
}
