import { Button } from '@/components/ui/button'
import { Download, Printer } from 'lucide-react'
import { useEffect, useState } from 'react'

const t = (english) => window.scholionTexts?.t(english) ?? english
const FILES = [
  ['html', t('Report')], ['md', 'Markdown'], ['json', 'JSON'],
  ['txt', t('References')], ['bib', 'BibTeX'], ['csl.json', 'CSL-JSON']
]

// The links with which a chat is taken along. The server checks whose chat it is; the style is chosen for the library.
export default function Export() {
  const [styles, setStyles] = useState(props.styles || [])
  const [style, setStyle] = useState(props.style || '')
  const [error, setError] = useState('')

  async function choose(payload) {
    setError('')
    try {
      const answer = (await callAction({ name: 'reference_style', payload }))?.response
      if (answer?.error) setError(answer.error)
      if (answer?.styles) { setStyles(answer.styles); setStyle(answer.style) }
    } catch {
      setError(t('Scholion is not responding. Reload the page and try again.'))
    }
  }

  // A stored chat shows the styles as they were then: ask for today's.
  useEffect(() => { choose({}) }, [])

  const chat = /^[0-9a-f-]{36}$/.test(props.chat) ? props.chat : ''
  const address = (kind) => `/export/chat/${chat}.${kind}`

  return (
    <div id="export" className="w-full rounded-lg border bg-card p-4 text-sm">
      <div className="mb-3 flex flex-wrap items-center gap-2">
        <span className="font-semibold" style={{ marginRight: 'auto' }}>{t('Export this chat')}</span>
        <label htmlFor="export-style" className="text-xs text-muted-foreground">{t('References in')}</label>
        <select id="export-style" className="h-8 rounded-md border bg-background px-2 text-sm" style={{ maxWidth: '14rem' }}
          value={style} onChange={(event) => choose({ style: event.target.value })}>
          <option value="">{t('numbered, with pages')}</option>
          {styles.map(([name, title]) => <option key={name} value={name}>{title}</option>)}
        </select>
      </div>
      {error ? <p role="alert" className="mb-2 text-destructive">{error}</p> : null}
      <div className="flex flex-wrap gap-2">
        <Button asChild size="sm" className="h-8">
          <a href={`${address('html')}?show=true`} target="_blank" rel="noopener"><Printer className="mr-1 h-4 w-4" />{t('Open to print')}</a>
        </Button>
        {FILES.map(([kind, label]) => (
          <Button key={kind} asChild size="sm" variant="outline" className="h-8">
            <a href={address(kind)} download data-export={kind}><Download className="mr-1 h-4 w-4" />{label}</a>
          </Button>
        ))}
      </div>
      <p className="text-xs text-muted-foreground" style={{ marginTop: '0.75rem' }}>
        {t('The style also applies to “Copy with references”. More styles: put .csl files into styles/ in your library’s folder.')}
      </p>
    </div>
  )
}
