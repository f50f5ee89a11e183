"Package metadata comes from `settings.ini`; the code comes from `nbs/` through `nbdev_export`."
from configparser import ConfigParser
from pathlib import Path
from setuptools import setup, find_namespace_packages

ini = ConfigParser(delimiters=['='])
ini.read('settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']
extras = {k[:-len('_requirements')]: cfg[k].split() for k in cfg if k.endswith('_requirements')}

setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    description=cfg['description'],
    long_description=Path('README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author=cfg['author'],
    author_email=cfg['author_email'],
    url=cfg['git_url'],
    keywords=cfg['keywords'].split(),
    license='Apache-2.0',
    packages=find_namespace_packages(include=[cfg['lib_path'], cfg['lib_path'] + '.*']),
    package_data={cfg['lib_name']: ['configs/*.yaml', 'configs/*.json', 'py.typed']},
    include_package_data=True,
    install_requires=cfg['requirements'].split(),
    extras_require=extras,
    python_requires='>=' + cfg['min_python'],
    entry_points=dict(
        console_scripts=cfg['console_scripts'].split(),
        nbdev=[f"{cfg['lib_name']}={cfg['lib_name']}._modidx:d"]),
    zip_safe=False,
)
