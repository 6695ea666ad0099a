"""File extensions, as a hint that a bare name is a file. What malware comes in, and what offices send."""

_EXTENSIONS = """
    7z ace apk appx arj asp aspx ashx ax bak bas bat bin bmp bz2 cab cer cfg cgi chm class cmd conf config
    cpl crt crx csv dat db deb dex dll dmg doc docm docx dot dotm drv dump dylib elf eml emf env eps evtx exe
    gif gz hta htm html ico img inf ini ipa iso jar jpeg jpg js jse json jsp jspx key kext ko lnk log
    lua lzh mdb mht mhtml mp3 mp4 msc msg msi msp msu msix ocx odp ods odt old ole one ost otf p12 pcap
    pcapng pdb pdf pem pfx php php3 phtml pif pkg plist png potm ppam ppsx ppt pptm pptx prf ps1 psd1
    psm1 pst pub pyc pyd pyo pyw rar raw reg rpm rtf sct scr sh1 slk sln sqlite svg swf sys tar tgz tif tiff
    tmp torrent ttf txt url vbe vbs vhd vhdx vmdk vsd vsdx wasm wav webp wim wmf wsc wsf wsh xar xht xhtml
    xla xlam xll xls xlsb xlsm xlsx xlt xltm xml xps xsl xz yar yara yaml yml z zst
    com zip rs py sh pl ps so md app mov cc tf pm dev
"""

EXTENSIONS = frozenset(_EXTENSIONS.split())
