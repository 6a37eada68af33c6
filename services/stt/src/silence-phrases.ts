/** What Whisper writes when nobody speaks: thanks and credits from the subtitles it learnt from. */

type Heard = { readonly text: string; readonly noSpeechProbability: number; readonly averageLogProbability: number }

/** Nobody says these to a microphone. */
const CREDITS =
  /amara\.org|subtitles? by|sub(?:title)?s? (?:made|created|provided) by|untertitel (?:der|von|im auftrag)|sous-titr(?:es|age)|subt[ií]tulos (?:realizados|por|creados)|ご視聴ありがとう|字幕(?:by|志愿者|由)|zeoranger/iu

/** These people do say: only where the model itself has its doubts. */
const THANKS = new Set([
  'you',
  'thank you',
  'thank you very much',
  'thanks for watching',
  'thank you for watching',
  'please subscribe',
  'bye',
  'vielen dank',
  'vielen dank fürs zuschauen',
  'merci',
  'gracias',
  '謝謝',
  'mbc 뉴스',
])

const MAX_WORDS = 12

/** Whether the whole text is such a phrase. */
export function isSilencePhrase({ text, noSpeechProbability, averageLogProbability }: Heard): boolean {
  if (text.split(' ').length > MAX_WORDS) return false
  if (CREDITS.test(text)) return true
  const isDoubtful = noSpeechProbability > 0.3 || averageLogProbability < -0.7
  return (
    isDoubtful &&
    THANKS.has(
      text
        .toLowerCase()
        .replaceAll(/[.!?,。…]+/gu, '')
        .trim(),
    )
  )
}
