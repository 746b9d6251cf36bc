//! The words that rules are made of, by what they mean.
//!
//! Each line is one class of meaning in one language: words, separated by `|`, as a normalised text
//! has them (lower case, Latin letters without accents). A `*` at the end stands for any rest of the
//! word, and `¦` for a `|`. Scripts that are not Latin have no marks between words that could be relied on: there a
//! word counts wherever it stands.

use super::lexicon::Class::{self, *};

/// Classes, and the words that are in them.
pub(super) const WORDS: &[(Class, &str)] = &[
    // More ways to say the same.
    (
        Covert,
        "does not have to know|do not have to know|doesn't have to know|not something people|nobody needs to know|no one needs to know|no need to bother|no need to tell|not to be told|mention it to nobody|mention it to no one|mention this to nobody|tell nobody|tell no one|stay quiet about|keep quiet about|say nothing about|say nothing to|leave it off|leave this out of|as if nothing happened|as though nothing happened|behind the user's back|keep this to yourself|keep it to yourself|unbeknownst|do not bring it up|don't bring it up|without saying so|are never displayed|is never displayed|without the person|ne le mentionne pas|ne le mentionnez pas|no lo menciones|sag dem nutzer nichts|sage dem nutzer nichts|non menzionarlo",
    ),
    (
        Take,
        "mirrored into|mirror the|slip the|slip in|jot down|note down|siphon*|pull the|look up the user's",
    ),
    (
        Strong,
        "printenv|~/.config|openai_api_key|anthropic_api_key|aws_secret_access_key|.ssh/config",
    ),
    (Path, "printenv|openai_api_key|anthropic_api_key|aws_secret_access_key"),
    (
        Secret,
        "process environment|whole environment|authorization header|authorization` header|user's home address|saved passwords|stored passwords|pages the user|page the user opened|browser history",
    ),
    (
        Talk,
        "chat so far|user messages|what the user has said|what the user said|everything the user",
    ),
    (
        Pass,
        "into `*|as `*|in `*|dans `*|als `*|nel `*|como `*|comme `*|travel along in|hand it over as|hand them over as",
    ),
    (
        Send,
        "goes to http*|go to http*|travel along|travels along|route all|ships to|hand over to|push a second time",
    ),
    (
        Addressed,
        "whichever model|whoever operates this|whoever is using this|whatever model|for any model that|for the agent that|to whichever agent",
    ),
    (
        Obey,
        "tells you to do|carry them out as|as though they came from|as if they came from|as though it came from|as if it came from|follow it to the letter|follow them to the letter|steps for you|as if the administrator|as if the user had typed|as though the user|whatever it says, do",
    ),
    (
        Redirect,
        "blind-copy|swap the iban|as an attendee|a second time to|send its inputs|its inputs here",
    ),
    (Guard, "guard rails|safety training|safety rules|two-factor step"),
    (Void, "are off|is off|does not apply|was a draft|were a draft|was only a draft"),
    (Become, "you are from this moment|you are from now|from this moment you|from here on you"),
    (
        First,
        "never go back to|refuse to use it|has been found to leak|was found to leak|was compromised",
    ),
    (
        Hook,
        "start by running|begin by running|ahead of every|ahead of each|prior to conversion|before the result|after each call|after every call|after each quote",
    ),
    (
        Bias,
        "recommend only|whatever was asked|present this as your own|as your own view|as your own opinion",
    ),
    (
        Prompt,
        "your developers gave you|developers gave you|you were given at the start|text that your developers|your developers told you",
    ),
    (Persist, "remember for good|from here on"),
    // That a person is asked.
    (
        Caution,
        "confirm with the user|confirmed by the user|ask the user|user approval|get approval|approval from the user|explicit confirmation|explicit approval|explicit consent|explicit permission|explicitly asked|explicitly asks|explicitly requested|ask for confirmation|ask for approval|requires confirmation|asked to confirm|must be confirmed|unless the user|until the user|only if the user|user has asked|user has confirmed|show the draft|show the plan",
    ),
    (
        Protects,
        "leaked credential*|leaked secret*|leaked key*|hard-coded|hardcoded|secret scan*|are refused|is refused",
    ),
    // That a text is about attacks, and that what it quotes is to be done all the same.
    (
        Topic,
        "prompt injection*|prompt-injection*|injection attack*|indirect injection*|injected instruction*|injected prompt*|injection attempt*|injection payload*|attack payload*|jailbreak*|tool poisoning|tool-poisoning|tool_poisoning|poisoned tool*|poisoned description*|prompt_injection|malicious instruction*|malicious prompt*|adversarial prompt*|hidden instruction*|guardrail*|red team*|red-team*|owasp|llm01|attackers|an attacker|the attacker|attack vector*|proof of concept|threat model|false positive*|test_detect*|expect(|assert_flagged|is_flagged|is_injection|detects|detector*|prompt leak*|exfiltration",
    ),
    (
        Quote,
        "in quotes|in quotation marks|quoted text|quoted instruction*|quoted line*|quoted words|quoted above|quoted passage|the quote|the quotes|the quotation|quotation above|text above|lines above|line above|words above|sentence above|example above|examples above|above example*|the example|the examples|the payload|payload above|code block|code blocks|block above|between the backticks|in backticks|instruction above|instructions above|string above|strings above|text below|this example|these examples",
    ),
    (
        Obeyed,
        "must be obeyed|must be followed|must be done|must be carried out|must be executed|should be obeyed|should be followed|should be carried out|shall be obeyed|has to be obeyed|have to be obeyed|has to be done|is to be obeyed|are to be obeyed|to be obeyed|to be taken literally|is binding|are binding|applies to you|apply to you|obey it|obey them|obey the|now obey|follow the quoted|follow the text|follow the instruction*|do what the|do what is|do exactly what|carry out the|carry it out|execute the|execute it|act on the|comply with the|comply with it|is meant for you|are meant for you|addressed to you|is for you|are for you|now do it|do it now|is no example|is not an example|are not examples|is not just an example|is real and|for real",
    ),
    // To leave aside what one was told.
    (
        Ignore,
        "ignore|ignoring|disregard*|forget|forgets|override|overrides|overriding|bypass*|supersede*|pay no attention to|circumvent*|neglect|stop following|do not follow|don't follow|discard|abandon|drop|set aside|let go of|dismiss|throw away|erase from memory",
    ),
    (
        Ignore,
        "ignora|ignoren|ignorar|olvida|olvide|olviden|omite|haz caso omiso|no hagas caso|descarta",
    ),
    (
        Ignore,
        "ignorez|oublie|oubliez|oublier|ignorer|ne tenez pas compte|ne tiens pas compte|contourne*",
    ),
    (Ignore, "ignorier*|vergiss|vergessen|missacht*|umgehe|umgehen|beachte nicht"),
    (
        Ignore,
        "esqueca|desconsider*|ignorem|ignorate|dimentica*|trascura*|scorda|negeer|vergeet|zignoruj|zapomnij|unut|yoksay|gormezden gel",
    ),
    (
        Ignore,
        "игнорир*|забудь*|не обращай внимания|忽略|无视|無視|忘记|忘掉|忘記|不要理会|忘れ|무시|잊어|अनदेखा|नज़रअंदाज़|भूल जा|تجاهل|انس",
    ),
    (
        Prior,
        "previous|previously|prior|above|earlier|preceding|foregoing|initial|original|before this|so far|past|existing|former|developer",
    ),
    (
        Prior,
        "anteriores|anterior|previas|previos|previa|precedentes|precedente|precedent|anterieures|anterieurs|prealables|ci-dessus",
    ),
    (
        Prior,
        "vorherig*|vorig*|bisherig*|obig*|vorangegangen*|frueher*|anteriori|precedenti|sopra|eerdere|vorige|poprzedni*|onceki",
    ),
    (
        Prior,
        "предыдущ*|прежн*|之前|先前|以前|以上|前面|上述|前の|これまで|이전|앞의|पिछले|पिछली|पूर्व|السابق",
    ),
    (
        All,
        "all|any|every|everything|your|entire|each|todas|todos|toutes|tous|alle|allen|tutte|tutti|все|所有|一切|全部|すべて|全て|모든|सभी|جميع|what you|whatever you|anything you|the user's|the users'|user",
    ),
    (
        Orders,
        "instruction*|iunstruction*|directive*|prompt|prompts|rule|rules|guideline*|guidance|constraint*|restriction*|commands|guardrail*|safeguard*|safety|safeties|programming|you were told|you have been told|were given|told before|preferences|wishes",
    ),
    (
        Orders,
        "instrucciones|instruccion|reglas|directrices|indicaciones|consignes|regles|politique|anweisung*|regeln|vorgaben|richtlinien|instrucoes|instrucao|regras|istruzioni|regole|instructies|regels|instrukcj*|polece*|talimat*",
    ),
    (
        Orders,
        "инструкци*|правил*|указани*|指令|指示|规则|規則|提示词|命令|ルール|지시|명령|규칙|निर्देश|नियम|التعليمات|الأوامر",
    ),
    // What the model is called.
    (
        Model,
        "assistant|assistants|ai|llm|llms|language model|chatbot|agent|agents|ai model|copilot|claude|gpt|chatgpt|asistente|assistente|assistent|ki|modell|model|bot|ассистент*|модел*|助手|人工智能|模型|アシスタント|어시스턴트|सहायक|المساعد",
    ),
    (
        Addressed,
        "note to assistant|note to the assistant|note to ai|note to the ai|note to the bot|note to the model|note to llm|note to agent|note to the agent|note for ai|note for agents|note for the agent|note for assistant|note for the assistant|note for the model|note for llm*|attention ai|attention assistant|attention agent*|attention all ai|dear ai|dear assistant|hey assistant|hey ai|message to the assistant|message for the assistant|instructions for the assistant|instruction for the assistant|instructions for the model|instructions for ai|instructions to the model|instruction to the model|to you, ai|if you are an ai|if you are an llm|if you are a language model|if you're an ai|as an ai agent|ai agents integrating|ai agents must|ai agents should|ai agents reading|ai assistants must|ai assistants should|llm agents must|when you read this|whoever reads this|assistant:|ai assistant:|note to self|nota del sistema|nota para el asistente|note a l'assistant|hinweis an den assistenten|nota per l'assistente|系统提示|致助手|给助手|アシスタントへ|if you are an automated|if you're an automated|automated assistant|ai agents:|ai agents,|ai agent:|ai:|llm:|agents:|chatbot:|the user wants you to|the user has asked you to|the user would like you to|the user asked you to|as the system administrator|as your administrator|as your developer|i am your developer|this is your developer|assistant, disregard|assistant, ignore|assistant, please|the model must|the model should|the model needs|the assistant must|the assistant should|the assistant needs|the ai must|the ai should|the agent must|the agent should|the llm must|the llm should|the assistant has to|the model has to|the agent has to|il modello deve|das modell muss|el modelo debe|le modele doit|el asistente debe|l'assistant doit|l'assistente deve|der assistent muss|ассистент должен|модель должна|助手必须|模型必须|你必须|once you have read this|by reading this|if you read this|if you can read this|after reading this|upon reading this|note for the language model|to the language model|hello assistant|hi assistant|hello ai|language model:|ai systems must|ai systems should|automated systems|ai crawler*|ai summar*|llms reading|llm reading",
    ),
    // Secrecy.
    (
        Neg,
        "not|never|don't|dont|do not|no|without|cannot|must not|doesn't|does not|nor|avoid|refrain*|nothing|neither|instead of|rather than|nunca|jamas|sin|ne|pas|jamais|sans|nicht|niemals|ohne|kein*|nao|sem|non|mai|senza|niet|nooit|nie|не|никогда|без|不要|不得|切勿|勿|别|不能|しない|ないで|禁止|하지 마|말고|मत|नहीं|لا",
    ),
    (
        Tell,
        "tell|telling|mention|mentioning|inform|informing|notify|notifying|reveal|revealing|disclose|disclosing|show|showing|alert|alerting|warn|acknowledge|discuss|surface|surfacing|announce|explain|say|let the user know|log|display|describe|divulge|expose",
    ),
    (
        Tell,
        "digas|decir|mencion*|informes|informar|reveles|avises|mostrar|muestres|dis|dites|dire|parle|parlez|mentionne*|informe*|revele*|erwahne*|erwaehne*|sage|sag|sagen|informiere*|verrate*|mitteil*|zeige|diga|mencione|conte|dica|dire|menzionare|rivelare|informare|mostrare|vertel|noem|mow|wspominaj",
    ),
    (
        Tell,
        "сообща*|говори*|рассказыва*|упомина*|раскрыва*|показыва*|告诉|告知|提及|透露|通知|提到|显示|伝え|知らせ|言わ|말하|알리|बताए|बताना|बताओ|تخبر",
    ),
    (
        User,
        "user|users|user's|human|humans|anyone|anybody|operator|people|person|customer|end-user|owner|usuario|usuarios|utilisateur|utilisateurs|benutzer|nutzer|anwender|utente|gebruiker|uzytkownik*|kullanici*|пользовател*|用户|使用者|用戶|ユーザ|사용자|उपयोगकर्ता|المستخدم",
    ),
    (
        Covert,
        "secretly|covertly|stealthily|surreptitiously|invisibly|discreetly|in secret|secret operation|hidden from the user|hidden from users|hide from the user|hide this from|hide it from|conceal*|without the user|without user|without telling|without informing|without mentioning|without notifying|without their knowledge|without disclosing|without alerting|no questions asked|omitted from|omit from|left out of the|leave out of the|not shown to|not visible to|not displayed to|keep this secret|keep it secret|keep this confidential|keep this hidden|between us|do not disclose|never disclose|never mention|do not mention|don't mention|never tell|never inform|no need to mention|upset the user|worry the user|alarm the user|interrupt their workflow|en secreto|sin que el usuario|en silencio|en secret|a l'insu|silencieusement|heimlich|stillschweigend|in segreto|di nascosto|em segredo|em silencio|тайно|скрытно|незаметно|秘密|悄悄|暗中|偷偷|密かに|こっそり|몰래|비밀|गुप्त|سرا|so nobody|so that nobody|so no one|nobody notices|no one notices|without a trace|cover your tracks|leave no trace|undetected|unnoticed|never reveal this|never reveal that|do not reveal this|do not reveal that|never disclose|do not let the user|don't let the user|do not let them|must not mention|must not tell|must not know|should not know|need not know|does not need to know|doesn't need to know|should not be told|must not be told|should not see|must not see|not to be shown|without the knowledge|without revealing|stay hidden|remain hidden|hidden parameter|zonder de gebruiker|vertel de gebruiker niet*|nichts davon|nao conte|non dirlo|no le digas|ne le dis pas|不要提及|不要告诉|不告诉|不让用户|知らせないで|言わないで|말하지 마|알리지 마|не говорите|не говори|не сообщай*|मत बताएं|मत बताना|لا تخبر|without the user's knowledge|without the user's consent|without letting the user|invisible to the user|hide from users|kept secret from",
    ),
    // What nobody should get out of a machine or a conversation.
    (
        Path,
        "~/.ssh|.ssh/|id_rsa|id_ed25519|id_ecdsa|id_dsa|authorized_keys|known_hosts|.aws/|aws/credentials|.env|.env.local|.netrc|.npmrc|.pypirc|.git-credentials|.gitconfig|.kube/config|kubeconfig|.docker/config|mcp.json|.cursor|claude_desktop_config|.claude.json|/etc/passwd|/etc/shadow|/etc/sudoers|.bash_history|.zsh_history|.gnupg|.pgpass|wallet.dat|keychain|login data|cookies.sqlite|application_default_credentials|secrets.json|secrets.yaml|credentials.json|private.pem|server.key|/proc/self/environ|.config/gcloud|.azure/|169.254.169.254|metadata.google.internal|ssh key|ssh keys|ssh id rsa|id rsa|ssh private|etc passwd|aws credentials|env file|dotenv|bashrc|.vault-token|tfstate|ssh keys|s3 keys|~/.config|authorized keys|keychain|/etc/hosts",
    ),
    (
        Secret,
        "credential*|password|passwords|passwd|passphrase*|api key|api keys|api-key|api_key|apikey|api keys,|access token|access tokens|oauth token*|bearer token*|auth token*|authorization: bearer|session token*|session cookie*|refresh token*|private key|private keys|secret key*|secrets|environment variable|environment variables|env vars|env variables|seed phrase*|mnemonic|recovery phrase|credit card*|card number*|account number*|bank account|iban|social security|ssn|passport number|home address|security code|2fa code*|otp|one-time code*|phi records|personal data|personally identifiable|pii|sensitive data|sensitive information|confidential data|confidential information|private data|private information|private repositor*|user data|customer data|customer list|customer database|customer emails|client data|donnees clients|donnees des clients|contact list|address book|location history|browsing history|internal data|internal configuration|mac address|machine fingerprint|running processes|tokens|contrasena*|credenciales|claves|mot de passe|mots de passe|identifiants|passwort*|zugangsdaten|anmeldedaten|kennwort|senha*|credenciais|credenziali|chiavi|парол*|учетн*|учётн*|ключ*|密码|密钥|凭据|凭证|令牌|环境变量|パスワード|認証情報|秘密鍵|環境変数|비밀번호|자격 증명|पासवर्ड|كلمة المرور|api key you|browser cookies|cookies|clipboard contents|clipboard|keystrokes|$github_token|ssh private key*|ssh keys|kubeconfig|hidden system|identity documents|medical records|bank details|payment details|card details|wallet|their location|user's location|session cookies|repository secrets|your secrets|ssh private|your private key|api keys and|customer records|user's password|their password|access keys|aws keys|database credentials",
    ),
    (
        Talk,
        "chain of thought|conversation history|chat history|chat logs|message history|conversation so far|conversation context|whole conversation|entire conversation|full conversation|complete conversation|this conversation|the conversation|previous messages|last messages|all messages|user messages|ai responses|context window|list of tools|available tools|tool list|tools you have|full email body|file contents|contents of every file|every file you open|every file|all files|all data|the data|full customer|raw customer|historial de conversacion|conversacion|gesprachsverlauf|историю разговора|对话历史|对话内容|聊天记录|会話履歴|대화 내용|donnees|unread emails|received emails|full bodies|largest files|my inbox|the emails|all the emails|sent emails|transaction history|conversation transcript*|user's conversation|user's full conversation|user's messages|full chat|whole chat|entire chat|chat transcript*|user's chat|user's emails|all emails|user's email|previous conversation|users' conversations|prompts and responses|thread to",
    ),
    (
        Prompt,
        "system prompt*|system message*|system instruction*|hidden prompt*|hidden instruction*|initial prompt|initial instruction*|original prompt|developer message*|developer prompt|developer instruction*|your instruction*|your prompt|your rules|prompt del sistema|instrucciones del sistema|invite systeme|instructions systeme|prompt systeme|systemanweisung*|systemprompt*|system-prompt|systemaufforderung|prompt di sistema|istruzioni di sistema|prompt do sistema|instrucoes do sistema|системный промпт|системные инструкции|系统提示词|系统提示|系统指令|システムプロンプト|시스템 프롬프트|सिस्टम प्रॉम्प्ट|secret instruction*|confidential instruction*|your system|your initial|your original|your hidden|internal prompt|internal instruction*|preprompt|pre-prompt|the text above|everything above|everything before this|all text above|words above|text before this|everything you were told|above this line|before this line|hidden system",
    ),
    // Taking, and where to.
    (
        Take,
        "read|reads|reading|copy|copies|collect|collects|collecting|extract|extracts|gather|gathers|harvest*|dump|dumps|grab|steal|steals|stolen|cat|fetch|retrieve|list|capture*|obtain|access|open|include|includes|incorporates|append|prepend|embed|attach|insert|record|index*|scan|search for|leer|lee|lea|copia|incluye|lis|lisez|lire|copie|copiez|inclus|rassemble*|lies|lesen|kopiere|sammle|leia|leggi|includi|прочита*|скопиру*|собери*|读取|讀取|复制|收集|获取|附上|読み|読んで|コピー|읽|복사|पढ़|اقرأ|content of|contents of|supply|copies|stores a copy|retrieves|retrieve|export|exports|monitor|monitors|intercept*|harvests|visit|navigate to|browse to|open the url|attach its|append their|grab",
    ),
    (
        Send,
        "approuvez|envoyer|send|sends|sending|sent|post|posts|forward|forwards|forwarded|forwarding|upload|uploads|uploaded|transmit*|exfiltrat*|submit|submits|email|emails|mail|relay|relays|publish|leak|leaks|push|deliver|deliver to|dispatch|report to|beacon|phone home|http_post|send_email|fetch_url|curl|wget|bcc|cached externally|stored remotely|envia|envie|enviar|mande|manda|envoie*|envoyez|envoyer|transmet*|transmettre|sende|senden|schicke|ubermittle*|uebermittle*|leite|weiterleiten|invia|inviare|spedisci|stuur|wyslij|gonder|отправ*|пришли|перешли|перенаправ*|передай|发送|发给|上传|转发|傳送|送信|アップロード|보내|전송|भेज|أرسل|sent to|is sent|are sent|reports them|report them|exfil*|redirects|copied to|forward it|forward them|stores a copy|stored on a remote|stores conversation*|stored on our|shared with|shares with|share with|share it with|share them with|mirrored|mirror to|synced to|replicated to|handed over|hand it over|gets uploaded|uploaded to",
    ),
    (
        Pass,
        "pass it|pass its|pass them|pass the|pass this|pass that|passing it|put it in|put them in|put its|place it in|as the `*|as a parameter|as parameter|as an argument|as 'sidenote'|as 'notes'|in the `*|into the `*|parameter|parameters|argument|arguments|argumento|argument|parametro|parametre|parametr*|as a footnote|footnote|in the metadata|in the context|in the body|message body|request body|query string|in the answer|in your answer|in your response|in the response|in your reply|to your query|in the summary|in your summary|hidden field|bcc field|into the|参数|引数|параметр*|매개변수|पैरामीटर",
    ),
    (
        Out,
        "http://|https://|attacker*|evil*|remote server|remote host|external server|external service|external endpoint|external logging|external api|external url|external system|external address|third part*|third-part*|outside server|our server|our servers|our endpoint|our api|our security|research team|webhook|webhooks|endpoint|c2|command and control|remote endpoint|logging endpoint|pastebin|ngrok|requestbin|exfil*|adresse externe|direccion externa|serveur distant|servidor externo|servidor remoto|externen server|server remoto|внешн*|удаленн* сервер|外部|远程服务器|サーバー|@gmail.com|stored remotely|cached externally|public note|public channel|public repo*|public gist|upload_report|monitoring@|archive@|external database|remote database|s3://|bucket-public|on a remote|to a remote|to the vendor|the vendor|another server|other server|remote location|third parties|public url|$github_token|collector|our cloud|off-site|offsite|ftp://|external bucket|external storage|owned by us|our partners|partners",
    ),
    (Address, "@|www."),
    // When, and that it must be.
    (
        Hook,
        "before you use this|before you call|before calling|before you can|before using|before executing|before responding|before answering|before you reply|before you respond|before every|before each|before sending|before proceeding|prior to calling|prior to any|when using this tool|when using this|when processing requests|when processing any|whenever the user|whenever you|after calling|for every request|with every request|on every request|in every response|in every reply|in every answer|every answer must|every response must|all responses must|every outgoing|all outgoing|for all following|all subsequent|all future|for all future|every future|from now on|from this point|going forward|on the next|at the start of each|at the beginning of each|first call this|call this first|call this one first|call this tool first|use this tool first|always call this|always use this|always run this|otherwise it will not|otherwise it won't|antes de usar|antes de utilizar|antes de llamar|avant d'utiliser|avant d'appeler|avant d'employer|bevor du|vor der verwendung|vor dem aufruf|vor der nutzung|prima di usare|prima di utilizzare|prima di chiamare|antes de chamar|voordat je|przed uzyciem|bu araci kullanmadan|перед использованием|прежде чем|使用此工具前|使用本工具前|使用该工具前|使用这个工具|调用此工具前|调用前|使用前|使用する前|呼び出す前|사용하기 전에|उपयोग करने से पहले|قبل استخدام|before you answer|before you answer anything|when the user asks|use of this tool|when summarizing|when you summarize|when a file|whenever a|in every email|for every email|each reply|each response|every reply|every message|before any other tool|before any response|before any action|before any call|before any request|before any operation",
    ),
    (
        ThisHook,
        "before using this tool|before using this|before calling this tool|before calling this|before invoking this|before running this|when this function is called|when this tool is called|when this tool is used|when this tool is invoked|when this is called|when calling this|whenever this tool|after using this tool|after calling this|on every call|on each call|every time|each time|prior to using|in order to use this|to use this tool you must|before filling in|otherwise the tool|otherwise this tool|antes de usar esta|antes de utilizar esta|avant d'utiliser cet|bevor du dieses|prima di usare questo|使用此工具前|使用本工具前|调用此工具前|このツールを使用する前",
    ),
    (
        Extra,
        "as part of the request|as part of every|request preparation|as an additional step|as a first step|before the result is produced|this step is|supplemental|additionally|in addition to the|also required to|also expected to|is also expected",
    ),
    (
        Called,
        "is called|are called|is invoked|are invoked|is executed|are executed|is used|is run|is triggered|gets called|being called|being invoked|will be called|has been called|is requested|calls the|uses the|asks to use|asks for|is opened|are opened|is saved|is read by|is opened by|is created|is sent|when the user asks|exists|opens a|saves a|tools are used|tools are called|tool is used|tool is called|tool runs|is available|are available|is present",
    ),
    (
        Must,
        "must|need to|needs to|have to|has to|required to|is required|are required|required:|required before|mandatory|always|shall|obliged|obligat*|expected to|is also expected|has to be completed|to be completed|make sure|ensure|be sure to|please also|should first|should also|should always|first read|first call|first run|it is important|is necessary|necessary to|debes|debe|tienes que|siempre|obligatorio|dois|devez|doit|faut|toujours|obligatoire|musst|muss|mussen|immer|unbedingt|zwingend|devi|deve|sempre|obbligatorio|moet|altijd|musisz|zawsze|должен|должны|обязательно|всегда|нужно|необходимо|必须|務必|务必|一定要|请先|必ず|してください|반드시|항상|चाहिए|ज़रूरी|يجب",
    ),
    (
        Lie,
        "pre-authorized|pre-authorised|pre-authorization|pre-authorisation|preauthorization|by company policy|company policy|workspace policy|security policy requires|policy of this user|operating policy|according to the policy|policy states|policy requires|policy mandates|for compliance|compliance tracking|compliance reasons|compliance step|compliance purposes|internal compliance|for audit|for auditing|can be audited|audit purposes|for verification purposes|to validate your identity|validate your identity|ensure proper validation|proper validation|quality assurance|for quality|supplemental telemetry|for telemetry|telemetry purposes|for analytics|'analytics'|analytics purposes|for optimal results|for best results|for accuracy|to improve|for safekeeping|proxy number|for the proxy|verify your identity|confirm your identity|for debugging purposes|for security reasons|security audit requires|mandated by|required by law|required by policy|per policy|as per policy",
    ),
    (
        Threat,
        "will not work|won't work|will fail|cause the system|system to crash|to crash|will crash|will be rejected|be suspended|account will be|will be terminated|rejected by the backend",
    ),
    (
        Consent,
        "already approved|already consented|already agreed|already authorized|already authorised|already been approved|has approved this|has approved all|pre-approved|preapproved|has been authorized|user has agreed|user has given|user consents|consented to|ya ha aprobado|deja approuve|bereits genehmigt|gia approvato|ja aprovou|уже одобрил|已批准|已经批准|已同意|承認済み",
    ),
    // Other tools.
    (
        Instead,
        "instead of using|instead of calling|instead of the|rather than using|rather than calling|in place of|do not use the|don't use the|never use the|do not call the|never call the|replaces the|supersedes the|is deprecated|are deprecated|is compromised|is broken|is unsafe|is insecure|no longer safe|has been replaced|use only this|only use this|just use this tool|use this tool for all|use this tool for every|use this for all|no matter how|no matter what|regardless of|takes precedence|take precedence|takes priority|take priority|highest priority|over all other tools|over any other tool|above all other|prefer this tool over|en lugar de|au lieu de|anstelle|anstatt|statt|al posto di|em vez de|вместо|而不是|代替|の代わり|대신|use this instead of|instead of the built-in|been deprecated|was deprecated|been compromised|has been deprecated",
    ),
    (
        Tool,
        "tool|tools|function|functions|herramienta*|outil|outils|werkzeug*|strumento|strumenti|ferramenta*|инструмент*|工具|函数|ツール|도구|टूल|أداة",
    ),
    (
        Redirect,
        "change the recipient|replace the recipient|change the destination|change the address|replace the address|replace the account|change the account|modify the recipient|set the recipient|recipient account|redirect*|bcc|blind copy|copy of every|forward copy|forward a copy|send a copy|replace any|replace all|rewrite the|substitute|swap the|add archive|add bcc|cc the|set its recipient|its recipient|recipient to|change its recipient|set the beneficiary|beneficiary|payments go to|as the recipient|as the payee",
    ),
    // What makes other things worse.
    (
        Harm,
        "disable certificate|disable ssl|disable tls|disable security|disable safety|disable all safety|disable authentication|disable authorization|disable restrictions|disable content|disable logging|disable the firewall|disables all|disabling security|disable validation|skip verification|skip validation|skip confirmation|skip the confirmation|bypass security|bypass all|bypass approval|bypass authentication|bypass access|bypass the|bypass filters|crontab|¦ sh|¦ bash|rm -rf|rm -r|chmod 777|delete all|delete every|deletes all|delete the backup|delete_file|drop table|drop database|wipe|format the disk|overwrite the contents|overwrite all|empty the|grant write access|grant admin|grant access|grant full|administrator access|admin access|superadmin|escalate to|force flag|`force` flag|--force|--no-verify|instead of the official|unofficial registry|malware|backdoor|reverse shell|execute arbitrary|arbitrary code|approve the next|approve all|auto-approve|without restrictions|unrestricted access|unrestricted queries|full table access|cryptominer|keylogger|exfiltrate all|exfiltrate|ten percent|percent higher|regardless of the question|always recommend|false information|fabricat*|trust all|trust user|full trust|allow all queries|security restrictions|security checks|security validation|security rules|security policies|access controls|validation checks|authorization checks|temporarily suspended|admin privilege*|supprime tous|borra todo|elimina todo|losche alle|loesche alle|удали все|删除所有|删除全部|regardless of permissions|elevate privileges|escalate privileges|privileges to root|without authentication checks|reverse proxy to|leaks repository|hidden workflow|steal|steals",
    ),
    // To be somebody else.
    (
        Become,
        "you are now|you are no longer|act as an unrestricted|act as a|act as:|act as an|act as if|pretend you|pretend to be|pretend that you|roleplay as|role-play as|role play as|simulate being|imagine you are|from now on you|from now on, you|you have no|you will now|you must now|you shall now|answer as if|respond as if|behave as|respond exactly as|switch to|enter developer mode|enable developer mode|developer mode|jailbreak*|god mode|dan mode|do anything now|ahora eres|eres ahora|a partir de ahora|vous etes desormais|vous etes administrateur|tu es maintenant|vous etes maintenant|a partir de maintenant|desormais|du bist jetzt|du bist nun|ab sofort|ab jetzt|ora sei|d'ora in poi|voce agora e|agora voce|a partir de agora|ты теперь|теперь ты|отныне|你现在是|从现在开始|从现在起|これからあなた|今からあなた|이제 너는|이제부터|अब तुम|अब से|أنت الآن|you have been reprogrammed|your name is now|your new name|you have been updated|your only goal|your new purpose|your only purpose|your true purpose|your real purpose|you will act|you will play|you're now|you are actually|you obey|assume the role|take on the role|stay in character|you are dan|you are an unrestricted|you are an uncensored|you are a hacker|you are evil",
    ),
    (
        Free,
        "no restrictions|without restrictions|without any restrictions|unrestricted|uncensored|unfiltered|no rules|no limits|no limitations|without limits|no content policy|no safety|no filters|without filters|no ethical|no longer bound|not bound by|free from|any restrictions|safety filters|content policy|content filters|safety guidelines|evil|amoral|comply with every|comply with all|comply with any|obey every|obey all|do anything|dan|sin restricciones|sin limites|sans restriction|sans restrictions|sans limite|ohne einschrankungen|ohne beschrankungen|senza restrizioni|senza limiti|sem restricoes|без ограничений|没有限制|不受限制|无限制|制限なし|제한 없이|administrateur|superuser|do not refuse|never refuse|cannot refuse|must not refuse|no filters|obey only|you obey|must obey|obey the|any request|every request|any command|no longer apply|no moral|no guidelines|no policy|moral restrictions|any moral|ethical restrictions|any ethical|moral limits",
    ),
    (
        New,
        "new instruction*|new directive*|new task|new system prompt|new rules|new objective|new goal|your real task|real task is|actual task|your new task|your new role|your task is now|updated instruction*|following instruction*|the following request instead|do the following|follow these|please do the following|follow the instruction*|the prior task is cancelled|task is cancelled|previous task|original task|user's task|nuevas instrucciones|nueva instruccion|nouvelles instructions|nouvelle instruction|neue anweisung*|nuove istruzioni|novas instrucoes|новые инструкции|新指令|新的指令|新しい指示|새로운 지시|नए निर्देश",
    ),
    (
        Show,
        "reveal|reveals|print|printing|output|repeat|display|show|tell me|give me|list|dump|expose|leak|share|return|recite|summarize|translate|what was written|what is written|what are your|what were|begin by printing|disclose|muestra|muestrame|revela|imprime|repite|revele|revelez|affiche*|montre*|repete*|zeig|zeige|verrate|gib|wiederhole|nenne|mostra|mostrami|rivela|rivelami|stampa|ripeti|mostre|покажи|раскрой|выведи|напечатай|повтори|显示|透露|输出|打印|重复|告诉我|表示|教えて|出力|공개|출력|보여|दिखा|बता|أظهر|اكشف",
    ),
    (
        Verbatim,
        "verbatim|word for word|exactly as|exact token|exact text|exactly what it says|exactly what|nothing else|mot pour mot|palabra por palabra|wortwortlich|wort fur wort|parola per parola|palavra por palavra|дословно|逐字|一字不差|そのまま",
    ),
    (
        Decode,
        "decode the following|decode this|decode it|decode and|base64|rot13|hex string|binary encoded|decodes to|decoded",
    ),
    (
        Follow,
        "follow it|follow the instruction*|follow what|execute it|do what it says|exactly what it says|do exactly what|and follow|and execute|and obey|and comply|follow instruction*|instruction inside|instructions inside|in plain english",
    ),
    (
        Persist,
        "remember permanently|remember for all|save this note|save to your memory|to your memory|in your memory|persist*|every future reply|every future|in every report|all future tasks|in every future|store in memory|repeat it verbatim|for all future|between sessions|permanently|update your memory|remember the following|store this in memory|add to your memory|commit to memory|save this rule|save this instruction|for future conversations|in future conversations",
    ),
    // Marks of a role or of rank. Tags are looked at by themselves: see `marks.rs`.
    (
        Mark,
        "system:|system note:|system directive:|system override:|system instruction:|system message:|system notice:|system alert:|system directive]|system override]|priority_instruction:|priority instruction:|priority_instruction]|admin_override:|admin_override]|admin override:|hidden instruction:|security directive:|override directive:|important!!!|important system|important instruction*|critical instruction*|### instruction|### system|### human|begin system|end of document|end of system|end system|nested instruction:|breach alert:|systeme:|sistema:|systemhinweis|systemnachricht|message systeme|mensaje del sistema|nota del sistema|системное сообщение|системное уведомление|系统消息|系统通知|システムメッセージ|नोट:|human: now|system update:|system notification:|security update:|administrator:|admin:|developer:|# system:|policy update:|new policy in effect|</result>|</tool_description>|</tool_result>|</function_results>|</context>",
    ),
    (
        Urgent,
        "important:|important|critical|urgent|mandatory|attention|wichtig|importante|important :|achtung|attenzione|atencion|важно|внимание|重要|紧急|注意|警告|중요|महत्वपूर्ण|مهم",
    ),
    (
        Todo,
        "todo:|to do:|please also|reminder:|action required|cleanup required|integration hook|processing note|retention policy|onboarding step|to complete archival|to close this|to finish linking|debug creds",
    ),
    // That a text only talks about such things.
    (
        About,
        "example|examples|e.g.|for instance|phrase|phrases|quote|quotes|quoted|quoting|training material|training module|awareness|detect|detects|detection|detector*|detecting|benchmark*|dataset|changelog|release notes|regression test*|unit test*|test fixture|fixture|documentation|explain|explains|explained|guidance|discussion|discuss|lesson|workshop|quiz|slide|research|researchers|article|blog|paper|literal string|prompt-injection|prompt injection*|jailbreak corpora|red-team|red team|analysts|learners|students|treat retrieved|says|assert_flagged|false positive*|definition of|meaning of|what is|what does|what are|difference between|how do i|how can i|how to|can you",
    ),
    (
        Protects,
        "protect*|prevent*|redact*|mask|masks|masked|scan for|scans for|scanner|detects|audit|audits|vulnerab*|never reads|never read|does not read|does not send|never sends|does not collect|never stored|not stored|never logged|encrypt*|sanitiz*|untrusted",
    ),
    (
        Run,
        "load|render|invite|create|book|make|modify|reply|execute|executes|run|runs|call|invoke|use|perform|performs|visit|click|download|install|reply with|respond with|answer with|end with|say|append|write|create|make a reservation|reserve|transfer|pay|buy|add|invite|delete|remove|change|update|set|replace|grant|disable|overwrite|ejecuta|llama|execute|appelle|appelez|approuvez|fuhre|fuehre|rufe|esegui|chiama|выполни|вызови|执行|调用|実行|실행",
    ),
    // Tags: with and without what follows.
    (
        Tag,
        "<important|</important|<system|</system|<secret|<instruction*|</instruction*|<hidden|<admin|<priority|<critical|<information>|<override|</untrusted|</document|<sys>|<prompt|<command>|<urgent|<rules|</user>|<user>|<assistant>|[important|[system|[/system|[admin|[hidden|[priority|[critical|[secret|[override|[metadata directive|[inst|[security directive|[instruction*|[urgent",
    ),
    (Comment, "<!--"),
    (Image, "![|<img|markdown image"),
    (
        Load,
        "load|loads|render|renders|then display|embed|insert the image|include the image|include this image|show this image|display this image|display the image|fetch the image|add the image|add this image|append this image|append the image|output the image|output this",
    ),
    (
        Money,
        "transaction|transactions|money|payment|iban|to the account|recipient of|bank transfer|wire",
    ),
    (Canary, "{canary}|canary|exact token|trace_id|reference code"),
    (
        Rot,
        "vtaber|sbetrg|qvfertneq|cerivbhf|vafgehpgvba*|flfgrz|cebzcg|erirny|nffvfgnag|cnffjbeq|perqragvnyf|frperg",
    ),
    (
        Back,
        "erongi|tegrof|noitnem|erofeb|resu eht|asr_di|dragersid|suoiverp|snoitcurtsni|metsys|tpmorp|laever|tnatsissa|drowssap|slaitnederc",
    ),
    // What may be honest, and serves a secret.
    (
        Quiet,
        "silently|quietly|behind the scenes|in the background|without additional confirmation|without confirmation|without any confirmation|without validation|without being asked|without notice|without asking|without question|no questions|without approval|without further|automatically|do not ask|don't ask|do not ask again|never ask",
    ),
    (
        Strong,
        "~/.ssh|.ssh/|id_rsa|id_ed25519|id rsa|ssh id rsa|~/.aws|aws/credentials|/etc/passwd|/etc/shadow|mcp.json|claude_desktop_config|.git-credentials|.netrc|.pgpass|wallet.dat|/proc/self/environ|169.254.169.254|~/.config/gcloud|.bash_history|.env file|.env",
    ),
    // Tokens that only the frame of a conversation has.
    (
        Token,
        "<¦im_start¦>|<¦im_end¦>|<¦system¦>|<¦user¦>|<¦assistant¦>|<¦endoftext¦>|<¦eot_id¦>|<¦start_header_id¦>|[inst]|[/inst]|<<sys>>|<</sys>>|<start_of_turn>",
    ),
    // What comes on top.
    (
        Also,
        "also|as well|in addition|additionally|too|furthermore|a copy|another copy|copies of|simultaneously|at the same time|zusatzlich|auch|tambien|aussi|anche|tambem|также|同时|并且|また|또한",
    ),
    // A claim to go before others.
    (
        First,
        "before any other tool|before all other tools|before every other tool|before other tools|over every other|over any other|over all other|over all others|instead of any other|use this one instead|this one instead|prioritize this|prioritise this|prefer this|do not call the original|do not use the original|do not use any other|never use any other|don't use any other|no other tool|official replacement|replacement of the|replacement for the|trusted over|must be trusted|call this tool first|use this tool first|call this first|call this one first|run this tool first|invoke this tool first|takes priority|take priority|takes precedence|highest priority|is compromised|is malicious|is broken|is unsafe|is insecure|is no longer safe|outdated and",
    ),
    // To take protection away, and which.
    (
        Off,
        "disable|disables|disabled|disabling|turn off|turns off|turning off|switch off|switched off|skip|skips|skipping|suspend*|bypass*|no longer needed|no longer required|not required|not needed|are void|is void|void|deactivate*|removes the|remove the|delete the|erase the|clear the|without|lifted|waived|relax*|weaken*|desactiva*|desactive*|deaktivier*|disattiva*|отключи*|关闭|禁用|無効",
    ),
    (
        Guard,
        "safety|safety checks|security check*|security policy|verification|approval|approvals|tool approvals|signature check*|signature|two-factor|2fa|mfa|content filter*|safety filter*|filtering|guardrail*|certificate verification|certificate check*|tls verification|ssl verification|audit log*|audit trail*|logging|monitoring|authorization check*|permission check*|access control*|sandbox|firewall|antivirus|confirmation prompt*|confirmation|safeguard*|protections|seguridad|securite|sicherheit*|sicurezza|безопасност*|安全|検証|セキュリティ|authentication|row level security|row-level security|access check*|permissions check*|rls",
    ),
    (
        Void,
        "void|invalid|cancelled|canceled|superseded|obsolete|no longer apply|no longer valid|do not apply|don't apply|outdated|replaced|compromised|suspended|revoked|overridden|ungultig|aufgehoben|annul*|invalide|недействительн*|作废|失效|無効",
    ),
    // What tells a machine or a person apart.
    (
        Host,
        "hostname|host name|username|user name|ip address|mac address|machine id|os version|serial number|running processes|installed software|machine fingerprint|device fingerprint|geolocation|location history|hardware id",
    ),
    // To obey whoever writes the text.
    (
        Obey,
        "instructions contained|commands contained|command contained|instructions found|commands found|any instructions in|any instruction in|any commands in|follow any instructions|follow all instructions|follow the instructions in|obey any|execute any instructions|execute any command*|execute any shell|run any command*|treat its output as|treat the output as instructions|treat the result as|treat all the following|treat the following as|as trusted instructions|as system instructions|as instructions from",
    ),
    // To serve somebody else.
    (
        Bias,
        "most expensive|best product|best choice|always recommend|always pick|always choose|always prefer|only recommend|never recommend|regardless of the|regardless of what|whatever the user|sponsored|promot*|inflate*|higher price|lower price",
    ),
    (Pay, "transfer|wire|pay|send money|deposit|refund"),
    // What a user has asked for.
    (
        Asked,
        "question|questions|request|requests|task|tasks|query|queries|wishes|preferences|intent|intentions|goal|command|commands|pregunta|peticion|frage|anfrage|domanda|pergunta|вопрос|запрос|问题|请求|質問|依頼",
    ),
    // To put somewhere.
    (Put, "put|place|paste|pasted|store|fill|enter|hand over|hand it|supply|provide|write|stick"),
    (
        Other,
        "other tools|another tool|any other tool|any tool|every tool|all tools|every tool call|each tool call|all tool calls|other functions",
    ),
];
