import { Button } from '@/components/ui/button'
import { Download } from 'lucide-react'

const t = (english) => window.scholionTexts?.t(english) ?? english

// The link that downloads a comparison table. The server checks whose chat it is.
export default function TableFile() {
  const isName = (text) => /^[0-9a-f-]{36}$/.test(text)
  if (!isName(props.chat) || !isName(props.message)) return null
  return (
    <Button asChild size="sm" variant="outline" className="h-8">
      <a href={`/export/table/${props.chat}/${props.message}.csv`} download data-export="csv">
        <Download className="mr-1 h-4 w-4" />{t('Download as CSV')}
      </a>
    </Button>
  )
}
